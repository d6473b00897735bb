"""A user is deleted from a version while it is served: every worker goes on with the new artefact, no request fails."""

from __future__ import annotations

import shutil
import threading
from typing import Any

from pipelines.serving.scrubbing import scrub
from pipelines.versions.editions import publish_edition
from tests.support.runtime import Shop, until


def test_nobody_fails_while_a_version_is_written_anew_and_then_the_user_is_unknown(
    shop: Shop, recommendations: Any
) -> None:
    version = shop.add_version(items=60, users=10)
    campaign = shop.deploy(version, "served")

    def ask(user: str) -> list[tuple[str, float]]:
        items = recommendations.get_recommendations(campaignArn=campaign, userId=user, numResults=10)["itemList"]
        return [(item["itemId"], item["score"]) for item in items]

    before = {user: ask(user) for user in ("u3", "u4", "nobody")}
    assert before["u3"] != before["nobody"]
    answers: list[Any] = []
    finished = threading.Event()

    def keep_asking() -> None:
        while not finished.is_set():
            answers.append(ask("u4"))

    asking = threading.Thread(target=keep_asking)
    asking.start()
    until("requests to be answered", lambda: len(answers) > 20)
    scrub(version.directory, shop.settings.home / "scrubbed", users=["u3"], items=[], edition=1)
    shutil.move(version.directory, shop.settings.home / "old")
    shutil.move(shop.settings.home / "scrubbed", version.directory)
    publish_edition(shop.settings, version.id, 1)
    after, seen = {user: ask(user) for user in ("u3", "u4")}, len(answers)
    until("requests to be answered still", lambda: len(answers) > seen + 20)
    finished.set()
    asking.join(20)

    assert set(map(tuple, answers)) == {tuple(before["u4"])}
    assert after == {"u3": before["nobody"], "u4": before["u4"]}


def test_a_campaign_that_is_made_later_serves_the_newest_edition(shop: Shop, recommendations: Any) -> None:
    version = shop.add_version(users=10)
    shutil.move(version.directory, shop.settings.home / "old")
    scrub(shop.settings.home / "old", version.directory, users=["u3"], items=[], edition=1)
    publish_edition(shop.settings, version.id, 1)
    campaign = shop.deploy(version, "served")
    answers = [
        recommendations.get_recommendations(campaignArn=campaign, userId=user, numResults=5)["itemList"]
        for user in ("u3", "nobody")
    ]
    assert answers[0] == answers[1]


def test_a_campaign_whose_update_failed_goes_on_with_the_new_edition(shop: Shop, recommendations: Any) -> None:
    version, broken = shop.add_version(users=10), shop.add_version(users=10)
    campaign = shop.deploy(version, "served")
    (broken.directory / "manifest.json").write_text("{}")
    shop.want(campaign, broken)
    until("the update to fail", lambda: (shop.reconcile(), _update(shop, campaign))[1] == "CREATE FAILED")
    shutil.move(version.directory, shop.settings.home / "old")
    scrub(shop.settings.home / "old", version.directory, users=["u3"], items=[], edition=1)
    publish_edition(shop.settings, version.id, 1)
    answers = [
        recommendations.get_recommendations(campaignArn=campaign, userId=user, numResults=5)["itemList"]
        for user in ("u3", "nobody")
    ]
    assert answers[0] == answers[1]
    assert _update(shop, campaign) == "CREATE FAILED"


def _update(shop: Shop, campaign: str) -> str:
    rows = shop.query(
        "SELECT doc #>> '{latestCampaignUpdate,status}' FROM openpersonalize.resources WHERE arn = %s", campaign
    )
    return str(rows[0][0])
