"""A campaign's life in one worker: coming up, changing, failing, going, and what a new process makes of it."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bento.campaigns import Campaigns
from bento.database import Database
from bento.deployments import Version as ServedVersion
from pipelines.platform.reset import truncate
from pipelines.serving.asked import Asked
from pipelines.settings import Settings
from tests.runtime.test_errors import refusal
from tests.support.runtime import Shop, Version, client, get, until
from tests.support.runtime_servers import uvicorn_runtime

NOT_FOUND = "ResourceNotFoundException"


def ids(caller: Any, campaign: str, user: str = "u1") -> list[str]:
    answer = caller.get_recommendations(campaignArn=campaign, userId=user, numResults=10)
    return [item["itemId"] for item in answer["itemList"]]


def expected(version: Version, user: str = "u1") -> list[str]:
    return [scored.item_id for scored in version.recommender.recommend(Asked(user), 10)]


def test_a_campaign_answers_from_the_moment_it_is_active(shop: Shop, recommendations: Any) -> None:
    for n in range(5):  # the clock of the poll must not matter
        version = shop.add_version(items=60, seed=n)
        campaign = shop.add_campaign(version, f"new-{n}")
        code, status, message = refusal(recommendations.get_recommendations, campaignArn=campaign, userId="u1")
        assert (code, status) == (NOT_FOUND, 404) and "CREATE PENDING" in message
        shop.activate(campaign)
        assert ids(recommendations, campaign) == expected(version)


@pytest.mark.parametrize("status", ["CREATE IN_PROGRESS", "CREATE FAILED", "DELETE PENDING", "DELETE IN_PROGRESS"])
def test_a_campaign_in_any_other_state_is_not_found(shop: Shop, recommendations: Any, status: str) -> None:
    campaign = shop.deploy(shop.add_version(), "states")
    shop.set_status(campaign, status)
    until("the state to be followed", lambda: _code(recommendations, campaign) == NOT_FOUND, 1.5)


def test_a_deleted_campaign_is_not_found(shop: Shop, recommendations: Any) -> None:
    campaign = shop.deploy(shop.add_version(), "deleted")
    shop.query("DELETE FROM openpersonalize.resources WHERE arn = %s RETURNING 1", campaign)
    until("the campaign to go", lambda: _code(recommendations, campaign) == NOT_FOUND, 1.5)


def test_an_update_goes_live_with_active_and_not_before_it_is_loaded(shop: Shop, recommendations: Any) -> None:
    old, new = shop.add_version(items=60, seed=1), shop.add_version(items=60, seed=2)
    campaign = shop.deploy(old, "updated")
    assert ids(recommendations, campaign) == expected(old)
    shop.want(campaign, new)
    shop.activate(campaign)
    assert ids(recommendations, campaign) == expected(new) != expected(old)


def test_an_update_that_cannot_be_loaded_leaves_the_old_version_and_says_why(shop: Shop, recommendations: Any) -> None:
    old, broken = shop.add_version(items=60, seed=1), shop.add_version(items=60, seed=2)
    campaign = shop.deploy(old, "broken")
    (broken.directory / "item_matrix.npy").write_bytes(b"not a matrix")
    shop.want(campaign, broken)
    errors = until("an error to be reported", lambda: [error for _, error in shop.reports(campaign) if error])
    assert "item_matrix.npy" in errors[0] and "checksum" in errors[0]
    assert ids(recommendations, campaign) == expected(old)
    shop.reconcile()
    ((doc,),) = shop.query("SELECT doc FROM openpersonalize.resources WHERE arn = %s", campaign)
    assert doc["solutionVersionArn"] == old.arn and doc["latestCampaignUpdate"]["status"] == "CREATE FAILED"
    assert ids(recommendations, campaign) == expected(old)
    good = shop.add_version(items=60, seed=3)
    shop.want(campaign, good)
    shop.activate(campaign)
    assert ids(recommendations, campaign) == expected(good)


def test_a_new_process_after_a_failed_update_serves_what_served_before(shop: Shop) -> None:
    old, broken = shop.add_version(items=60, seed=1), shop.add_version(items=60, seed=2)
    with uvicorn_runtime(shop.settings):
        campaign = shop.deploy(old, "restarted")
        (broken.directory / "manifest.json").unlink()
        shop.want(campaign, broken)
        until("an error to be reported", lambda: [error for _, error in shop.reports(campaign) if error])
        shop.reconcile()
    with uvicorn_runtime(shop.settings) as url:
        assert ids(client("personalize-runtime", url), campaign) == expected(old)


def test_a_new_process_during_an_update_serves_the_old_version_first(shop: Shop, monkeypatch: Any) -> None:
    old, new = shop.add_version(items=60, seed=1), shop.add_version(items=60, seed=2)
    with uvicorn_runtime(shop.settings):
        campaign = shop.deploy(old, "during")
    shop.want(campaign, new)
    elsewhere = shop.settings.home / "elsewhere"
    shutil.move(new.directory, elsewhere)
    may_come = threading.Event()

    def restore(_settings: Settings, _version_id: str, _stop: Any) -> None:
        assert may_come.wait(20)
        shutil.copytree(elsewhere, new.directory)

    monkeypatch.setattr("pipelines.serving.local.restore", restore)
    monkeypatch.setattr("bento.runtime.START_PATIENCE", 0.5)
    with uvicorn_runtime(shop.settings) as url:
        caller = client("personalize-runtime", url)
        assert ids(caller, campaign) == expected(old)
        may_come.set()
        shop.activate(campaign)
        assert ids(caller, campaign) == expected(new)


def test_a_version_that_is_not_here_is_restored(shop: Shop, recommendations: Any, monkeypatch: Any) -> None:
    version = shop.add_version(items=60)
    wanted = expected(version)
    elsewhere = shop.settings.home / "elsewhere"
    shutil.move(version.directory, elsewhere)
    restored: list[str] = []

    def restore(_settings: Settings, version_id: str, _stop: Any) -> None:
        restored.append(version_id)
        shutil.copytree(elsewhere, version.directory)

    monkeypatch.setattr("pipelines.serving.local.restore", restore)
    campaign = shop.deploy(version, "restored")
    assert ids(recommendations, campaign) == wanted and restored == [version.id]


def test_a_version_that_cannot_be_restored_is_reported_with_the_commands_last_words(
    shop: Shop, recommendations: Any
) -> None:
    version = shop.add_version()
    shutil.rmtree(version.directory)
    campaign = shop.add_campaign(version, "lost")
    errors = until("an error", lambda: [error for _, error in shop.reports(campaign) if error], 60)
    assert version.id in errors[0] and "restored" in errors[0]
    shop.reconcile()
    assert shop.query("SELECT status FROM openpersonalize.resources WHERE arn = %s", campaign) == [("CREATE FAILED",)]
    assert _code(recommendations, campaign) == NOT_FOUND


def test_an_emptied_store_is_followed_and_filled_again(shop: Shop, url: str) -> None:
    caller = client("personalize-runtime", url)
    campaign = shop.deploy(shop.add_version(items=60), "before")
    workers = shop.query("SELECT id FROM openpersonalize.workers")
    truncate(shop.settings)
    until("the campaign to go", lambda: _code(caller, campaign) == NOT_FOUND, 1.5)
    until("the worker to sign on again", lambda: shop.query("SELECT id FROM openpersonalize.workers") == workers, 3)
    again = Shop(shop.settings)
    version = again.add_version(items=60, seed=9)
    assert ids(caller, again.deploy(version, "before")) == expected(version)
    again.close()


def test_ready_means_that_the_campaigns_are_known(shop: Shop, url: str) -> None:
    assert get(f"{url}/readyz")[0] == 200 and get(f"{url}/livez")[0] == 200
    assert "openpersonalize_requests" in get(f"{url}/metrics")[1]


# The table of campaigns itself --------------------------------------------------------------------------


def follow(settings: Settings, load: Any, script: Callable[[Campaigns], Awaitable[None]]) -> None:
    """Run `script` with a table of campaigns that loads versions by `load`."""

    async def run() -> None:
        database = Database(settings.database_url)
        await database.open()
        campaigns = Campaigns(database, load)
        try:
            await script(campaigns)
        finally:
            await campaigns.close()
            await database.close()

    asyncio.run(run())


def test_campaigns_on_one_version_share_what_is_loaded(shop: Shop) -> None:
    version, other = shop.add_version(seed=1), shop.add_version(seed=2)
    arns = [shop.add_campaign(version, f"shared-{n}") for n in range(3)]
    loads: list[str] = []

    def load(wanted: ServedVersion, _stop: threading.Event) -> Any:
        loads.append(wanted.id)
        return object()

    async def script(campaigns: Campaigns) -> None:
        await campaigns.start(10)
        assert loads == [version.id]
        shared = {id(campaigns.current(arn)[1].recommender) for arn in arns}  # type: ignore[index]
        assert len(shared) == 1
        for arn in arns:
            shop.want(arn, other)
        await campaigns.start(10)
        assert loads == [version.id, other.id]
        shop.want(arns[0], version)
        await campaigns.start(10)
        assert loads == [version.id, other.id, version.id], "what nobody served was dropped"

    follow(shop.settings, load, script)


def test_a_campaign_config_changes_with_its_deployment_and_without_another_load(shop: Shop) -> None:
    """Also of one version: an update that failed is not served with what it wanted."""
    version = shop.add_version()
    campaign = shop.add_campaign(version, "configured", itemExplorationConfig={"explorationWeight": "0.1"})
    loads: list[str] = []

    def load(wanted: ServedVersion, _stop: threading.Event) -> Any:
        loads.append(wanted.id)
        return object()

    async def script(campaigns: Campaigns) -> None:
        def served() -> tuple[Any, str]:
            route = campaigns.current(campaign)
            assert route is not None
            loaded = route[1]
            return loaded.config.get("itemExplorationConfig"), loaded.deployment_id

        await campaigns.start(10)
        assert served() == ({"explorationWeight": "0.1"}, shop.wanted(campaign))
        shop.query("UPDATE openpersonalize.resources SET status = 'ACTIVE' WHERE arn = %s RETURNING 1", campaign)
        shop.want(campaign, version, itemExplorationConfig={"explorationWeight": "0.9"})
        await campaigns.start(10)
        assert served() == ({"explorationWeight": "0.9"}, shop.wanted(campaign))
        shop.query(
            "UPDATE openpersonalize.resources "
            "SET doc = jsonb_set(doc, '{latestCampaignUpdate,status}', '\"CREATE FAILED\"') WHERE arn = %s RETURNING 1",
            campaign,
        )
        await campaigns.start(10)
        assert served() == ({"explorationWeight": "0.1"}, "")
        assert loads == [version.id]

    follow(shop.settings, load, script)


def test_a_load_that_ends_after_its_campaign_wants_something_else_is_not_served(shop: Shop) -> None:
    first, slow, last = (shop.add_version(seed=seed) for seed in (1, 2, 3))
    campaign = shop.add_campaign(first, "slow")
    go_on = threading.Event()

    def load(wanted: ServedVersion, _stop: threading.Event) -> Any:
        if wanted.id == slow.id:
            assert go_on.wait(10)
        return wanted.id

    async def script(campaigns: Campaigns) -> None:
        served: list[Any] = []
        await campaigns.start(10)
        shop.want(campaign, slow)
        await campaigns.start(0.2)
        served.append(campaigns.current(campaign)[1].recommender)  # type: ignore[index]
        shop.want(campaign, last)
        await campaigns.refresh()
        go_on.set()
        await campaigns.start(10)
        served.append(campaigns.current(campaign)[1].recommender)  # type: ignore[index]
        assert served == [first.id, last.id]
        assert [report for report, _ in campaigns.reports.values()] == [shop.wanted(campaign)]

    follow(shop.settings, load, script)


def test_callers_at_the_same_time_share_one_look_at_the_registry(shop: Shop, monkeypatch: Any) -> None:
    looks = 0
    rows = Database.rows

    async def counted(self: Database, *arguments: Any) -> Any:
        nonlocal looks
        looks += 1
        return await rows(self, *arguments)

    monkeypatch.setattr(Database, "rows", counted)

    async def script(campaigns: Campaigns) -> None:
        await asyncio.gather(*(campaigns.refresh() for _ in range(100)))
        assert looks <= 4

    follow(shop.settings, lambda *_: object(), script)


def _code(caller: Any, campaign: str) -> str:
    try:
        caller.get_recommendations(campaignArn=campaign, userId="u1")
    except ClientError as failure:
        return str(failure.response["Error"]["Code"])
    return ""
