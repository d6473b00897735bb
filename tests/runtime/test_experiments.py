"""A campaign with two versions, in two runtimes: who gets which, what is kept of it, and what happens when one is missing."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from bento import campaigns as following
from pipelines.platform import ab_command
from pipelines.platform import splitting as splitting_
from pipelines.platform.ab_views import lines
from pipelines.platform.postgres import EmbeddedPostgres
from pipelines.platform.trace_command import collect as trace
from pipelines.platform.trace_command import lines as traced
from pipelines.platform.why_command import Question, collect
from pipelines.registry.experiments import Experiment
from pipelines.serving.arms import CHALLENGER, CONTROL, arm_in, arm_of
from pipelines.serving.asked import Asked
from pipelines.serving.scrubbing import scrub
from pipelines.versions.editions import publish_edition
from tests.runtime.conftest import module_shop
from tests.support.runtime import Shop, Version, client, event, until
from tests.support.runtime_servers import bento_runtime, uvicorn_runtime

USERS = [f"u{n}" for n in range(16)]
NOTICE = splitting_.NOTICE
Answer = dict[str, Any]


@dataclass(frozen=True)
class Split:
    """A campaign whose users are split, and a client of each runtime."""

    shop: Shop
    campaign: str
    versions: dict[str, Version]
    experiment: Experiment
    clients: list[Any]

    def ask(self, user: str, runtime: int = 0) -> Answer:
        asking = self.clients[runtime]
        answer: Answer = asking.get_recommendations(campaignArn=self.campaign, userId=user, numResults=10)
        return answer

    def arm(self, user: str) -> str:
        return arm_of(self.experiment.id, user, self.experiment.share).name


def ids(answer: Answer) -> list[str]:
    return [item["itemId"] for item in answer["itemList"]]


def expected(version: Version, user: str) -> list[str]:
    return [scored.item_id for scored in version.recommender.recommend(Asked(user), 10)]


def begin(shop: Shop, campaign: str, challenger: Version, share: int = 50) -> Experiment:
    """Start an experiment and wait until it has begun, or failed."""
    begun = ab_command.start(shop.settings, campaign, challenger.arn, share)

    def look() -> Experiment | None:
        shop.reconcile()
        now = ab_command.state(shop.settings, begun)
        return now if now.started_at or now.ended_at else None

    found: Experiment = until("the experiment to begin or fail", look)
    if found.started_at:
        time.sleep(max(found.started_at.timestamp() - time.time(), 0))
    return found


@pytest.fixture(scope="module", autouse=True)
def at_once() -> Iterator[None]:
    """Every request looks at the registry first, so that an experiment may begin without notice."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(following, "STALE_SECONDS", 0.0)
        monkeypatch.setattr(splitting_, "NOTICE", timedelta())
        yield


@contextmanager
def splitting(shop: Shop) -> Iterator[Split]:
    """A campaign of half of its users each, in two runtimes."""
    versions = {CONTROL: shop.add_version(items=60, seed=1), CHALLENGER: shop.add_version("other", items=60, seed=2)}
    with uvicorn_runtime(shop.settings) as first, uvicorn_runtime(shop.settings) as second:
        campaign = shop.deploy(versions[CONTROL], "front", workers=2)
        experiment = begin(shop, campaign, versions[CHALLENGER])
        yield Split(
            shop, campaign, versions, experiment, [client("personalize-runtime", url) for url in (first, second)]
        )


@pytest.fixture(scope="module")
def standing(
    postgres: EmbeddedPostgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Split]:
    """For tests that change nothing, each with users of its own."""
    with module_shop(postgres, migrated_template, tmp_path_factory) as shop, splitting(shop) as split:
        yield split


@pytest.fixture
def split(shop: Shop) -> Iterator[Split]:
    with splitting(shop) as split:
        yield split


def test_every_user_has_one_arm_in_every_worker_and_his_answers_say_which(standing: Split) -> None:
    seen = {user: [standing.ask(user, runtime) for runtime in (0, 1, 0)] for user in USERS}
    dealt = {name: [user for user in USERS if standing.arm(user) == name] for name in (CONTROL, CHALLENGER)}
    assert all(dealt.values())
    for user, answers in seen.items():
        arm = standing.arm(user)
        assert [arm_in(answer["recommendationId"]) for answer in answers] == [arm] * 3
        assert [ids(answer) for answer in answers] == [expected(standing.versions[arm], user)] * 3
    select = (
        "SELECT arm, answers, count(*) FROM openpersonalize.exposures WHERE user_key = ANY(%s) GROUP BY 1, 2 ORDER BY 1"
    )
    written = [(name, 3, len(users)) for name, users in dealt.items()]
    until("all to be written", lambda: standing.shop.query(select, USERS) == written)


def test_what_shows_an_answer_shows_the_arms(standing: Split) -> None:
    settings, user = standing.shop.settings, next(f"w{n}" for n in range(99) if standing.arm(f"w{n}") == CHALLENGER)
    answer = standing.ask(user)
    select = "SELECT count(*) FROM openpersonalize.served WHERE recommendation_id = %s"
    until("it to be written", lambda: standing.shop.query(select, answer["recommendationId"])[0][0])
    told = collect(settings, Question("front", user, count=10, answer=answer["recommendationId"]))
    assert (told.version_arn, [r.item_id for r in told.reasons]) == (standing.versions[CHALLENGER].arn, ids(answer))
    shown = "\n".join(traced(settings, trace(settings, answer["recommendationId"])))
    assert "arm B, the challenger" in shown and standing.versions[CHALLENGER].arn in shown


def test_who_is_not_named_gets_the_control_and_is_no_part_of_it(shop: Shop, recommendations: Any) -> None:
    control, challenger = (
        shop.add_version(f"sims-{seed}", recipe_type="RELATED_ITEMS", kind="neighbours", items=60, seed=seed)
        for seed in (1, 2)
    )
    campaign = shop.deploy(control, "related")
    experiment = begin(shop, campaign, challenger, 99)
    asked = {"campaignArn": campaign, "itemId": "i3", "numResults": 10}
    nobody = recommendations.get_recommendations(**asked)
    user = next(user for user in USERS if arm_of(experiment.id, user, 99).name == CHALLENGER)
    named = recommendations.get_recommendations(**asked, userId=user)
    assert arm_in(nobody["recommendationId"]) is None and uuid.UUID(nobody["recommendationId"][4:]).version == 4
    assert arm_in(named["recommendationId"]) == CHALLENGER and ids(named) != ids(nobody)
    for answer, version in ((nobody, control), (named, challenger)):
        assert ids(answer) == [one.item_id for one in version.recommender.recommend(Asked("", item_id="i3"), 10)]
    until("both to be written", lambda: len(shop.query("SELECT FROM openpersonalize.served")) == 2)
    found = ab_command.collect(shop.settings, "related")
    assert [arm.answers for arm in found.arms] == [0, 1]
    assert "1 answers of the last 24 hours are no part of it" in "\n".join(lines(found))


def test_what_users_do_afterwards_counts_for_their_arm(standing: Split) -> None:
    events = client("personalize-events", standing.clients[0].meta.endpoint_url)

    def put(user: str, *sent: dict[str, Any]) -> None:
        events.put_events(trackingId=standing.shop.tracking_id, userId=user, sessionId="s", eventList=list(sent))

    users = [f"v{n}" for n in range(20)]
    put(users[0], event("i1", kind="Watch"))  # before the first answer
    answers = {user: standing.ask(user) for user in users}
    select = "SELECT count(*) FROM openpersonalize.exposures WHERE user_key LIKE 'v%%'"
    until("the arms to be written", lambda: standing.shop.query(select)[0][0] == len(users))
    arms = {name: [user for user in users if standing.arm(user) == name] for name in (CONTROL, CHALLENGER)}
    for user in arms[CONTROL][:3]:
        put(user, event("i2", kind="Watch"), event("i3", kind="watch"))
    for user in arms[CHALLENGER][:5]:
        put(user, event("i2", kind="watch", recommendationId=answers[user]["recommendationId"], eventValue=2.0))
    put("a-stranger", event("i2", kind="watch"))
    found = ab_command.collect(standing.shop.settings, "front")
    [watched] = found.outcomes
    a, b = (arm.users for arm in found.arms)
    assert watched.did == (3, 5)
    assert (watched.users.a, watched.users.b) == (3 / a, 5 / b)
    assert watched.of_lists is not None and (watched.of_lists.a, watched.of_lists.b) == (0, 5 / b)
    assert (watched.events.a, watched.events.b) == (6 / a, 5 / b)
    assert watched.value is not None and (watched.value.a, watched.value.b) == (0, 10 / b)
    assert ab_command.collect(standing.shop.settings, "front", event_types=["buy"]).outcomes == []


def test_from_an_update_of_the_challenger_over_a_stop_to_its_promotion(split: Split) -> None:
    user = next(user for user in USERS if split.arm(user) == CHALLENGER)
    nobody = next(f"new{n}" for n in range(99) if split.arm(f"new{n}") == CHALLENGER)
    version = split.versions[CHALLENGER]
    assert ids(split.ask(user)) != ids(split.ask(nobody))
    scrub(version.directory, split.shop.settings.home / "scrubbed", users=[user], items=[], edition=1)
    shutil.move(version.directory, split.shop.settings.home / "old")
    shutil.move(split.shop.settings.home / "scrubbed", version.directory)
    publish_edition(split.shop.settings, version.id, 1)
    for runtime in (0, 1):
        assert ids(split.ask(user, runtime)) == ids(split.ask(nobody, runtime))
        assert arm_in(split.ask(user, runtime)["recommendationId"]) == CHALLENGER

    ab_command.stop(split.shop.settings, "front")
    lists = {name: expected(version, user) for name, version in split.versions.items()}
    for runtime in (0, 1):
        until("B to be taken out", lambda runtime=runtime: ids(split.ask(user, runtime)) == lists[CONTROL])
    assert arm_in(split.ask(user)["recommendationId"]) is None

    again = begin(split.shop, "front", version, 99)
    assert again.id != split.experiment.id
    ab_command.promote(split.shop.settings, "front")
    until("B to be the campaign's", lambda: (split.shop.reconcile(), _served(split))[1] == version.arn)
    for runtime in (0, 1):
        answer = split.ask(user, runtime)
        assert (ids(answer), arm_in(answer["recommendationId"])) == (lists[CHALLENGER], None)


def _served(split: Split) -> str:
    select = "SELECT doc ->> 'solutionVersionArn' FROM openpersonalize.resources WHERE arn = %s"
    return str(split.shop.query(select, split.campaign)[0][0])


def test_a_challenger_that_cannot_be_loaded_fails_with_a_reason_and_no_request_does(
    shop: Shop, recommendations: Any
) -> None:
    version, broken = shop.add_version(items=60), shop.add_version(items=60)
    campaign = shop.deploy(version, "front")
    (broken.directory / "manifest.json").write_text("{}")
    failed = begin(shop, campaign, broken)
    assert failed.outcome == "failed" and "could not load the challenger" in (failed.failure_reason or "")
    for user in USERS:
        answer = recommendations.get_recommendations(campaignArn=campaign, userId=user, numResults=10)
        assert (ids(answer), arm_in(answer["recommendationId"])) == (expected(version, user), None)
    until("the runtime to be content", lambda: shop.reports(campaign) == [(shop.wanted(campaign), None)])
    shown = lines(ab_command.collect(shop.settings, "front"))
    assert "failed" in shown[0] and "manifest" in shown[0]


def test_a_new_worker_answers_for_the_control_until_it_can_load_the_challenger(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "RETRY_SECONDS", 0.1)
    control, challenger = shop.add_version(items=60, seed=1), shop.add_version(items=60, seed=2)
    with uvicorn_runtime(shop.settings):
        campaign = shop.deploy(control, "front")
        experiment = begin(shop, campaign, challenger)
    user = next(user for user in USERS if arm_of(experiment.id, user, 50).name == CHALLENGER)
    manifest = challenger.directory / "manifest.json"
    there = manifest.read_text()
    manifest.write_text("{}")
    with uvicorn_runtime(shop.settings) as url:
        recommendations = client("personalize-runtime", url)

        def ask() -> Answer:
            answer: Answer = recommendations.get_recommendations(campaignArn=campaign, userId=user, numResults=10)
            return answer

        answer = ask()
        assert (ids(answer), arm_in(answer["recommendationId"])) == (expected(control, user), None)
        problem = until("the worker to say so", lambda: ab_command.collect(shop.settings, "front").problem)
        assert problem in "\n".join(lines(ab_command.collect(shop.settings, "front")))
        manifest.write_text(there)
        until("the challenger to be there again", lambda: arm_in(ask()["recommendationId"]) == CHALLENGER)
        assert ids(ask()) == expected(challenger, user)
        until("no complaint", lambda: ab_command.collect(shop.settings, "front").problem is None)


@pytest.mark.soak
def test_two_workers_of_bentoml_deal_alike_from_the_first_moment_and_while_one_is_killed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splitting_, "NOTICE", NOTICE)
    control, challenger = shop.add_version(items=60, seed=1), shop.add_version(items=60, seed=2)
    with bento_runtime(shop.settings) as runtime:
        campaign = shop.deploy(control, "front", workers=2)
        experiment = begin(shop, campaign, challenger, 30)
        asking = client("personalize-runtime", runtime.url, retries=3)
        lists = {
            user: expected(challenger if arm_of(experiment.id, user, 30).name == CHALLENGER else control, user)
            for user in USERS
        }
        for turn in range(30):
            if turn == 5:
                runtime.workers[0].kill()
            for user in USERS:
                answer = asking.get_recommendations(campaignArn=campaign, userId=user, numResults=10)
                assert ids(answer) == lists[user]
