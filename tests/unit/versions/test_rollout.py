"""Which version rolls out by itself, which waits for a person, and how its question ends."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection

from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.settings import Settings
from pipelines.versions import deploy, rollout
from pipelines.versions.rollout import JUDGE, fall, judge
from tests.support.registry import add_campaign, add_version
from tests.support.versions import World, look

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("new", "deployed", "share"),
    [
        ({JUDGE: 0.18}, {JUDGE: 0.2}, 0.1),
        ({JUDGE: 0.22}, {JUDGE: 0.2}, -0.1),
        ({JUDGE: 0.0}, {JUDGE: 0.2}, 1.0),
        ({JUDGE: 0.1}, {JUDGE: 0.0}, None),
        ({JUDGE: 0.1}, {"hits_at_1_percent": 3.0}, None),
        ({}, {JUDGE: 0.2}, None),
    ],
)
def test_the_fall_is_a_share_of_what_the_deployed_version_has(new: dict, deployed: dict, share: float | None) -> None:
    assert fall(new, deployed) == (None if share is None else pytest.approx(share))


def version_of(conn: Connection, world: World, suffix: str, ndcg: float | None) -> Resource:
    with conn.begin():
        metrics = {} if ndcg is None else {JUDGE: ndcg, "coverage": 0.5}
        return add_version(conn, world.solution, suffix, metrics=metrics)


def follow(conn: Connection, version: Resource, name: str = "front", sync: bool = True) -> Resource:
    with conn.begin():
        return add_campaign(conn, version, name, store.ACTIVE, syncWithLatestSolutionVersion=sync)


def test_without_a_campaign_that_follows_nobody_is_asked(conn: Connection, settings: Settings, world: World) -> None:
    follow(conn, version_of(conn, world, "00000001", 0.2), sync=False)
    new = version_of(conn, world, "00000002", 0.0)
    verdict = judge(settings, new.id)
    assert (verdict.campaigns, verdict.question) == ((), None)
    assert rollout.HELD not in look(conn, new.id).internal


@pytest.mark.parametrize("ndcg", [0.181, 0.4, None])
def test_what_is_about_as_good_rolls_out(
    conn: Connection, settings: Settings, world: World, ndcg: float | None
) -> None:
    follow(conn, version_of(conn, world, "00000001", 0.2))
    verdict = judge(settings, version_of(conn, world, "00000002", ndcg).id)
    assert (verdict.campaigns, verdict.question) == (("front",), None)


def test_what_fell_further_waits_and_says_why(conn: Connection, settings: Settings, world: World) -> None:
    old = version_of(conn, world, "00000001", 0.2)
    follow(conn, old)
    new = version_of(conn, world, "00000002", 0.17)
    question = judge(settings, new.id).question
    assert question is not None
    assert question.subject == "Solution taste: deploy a version that measures worse?"
    for told in ("fell by 15.0%", "allowed", "0.2000 | 0.1700", "`front` move to", new.arn, old.arn, "keep what they"):
        assert told in question.body
    held = look(conn, new.id).internal["held"]
    assert (held["against"], held["metrics"], held["decision"]) == (old.arn, {"new": 0.17, "deployed": 0.2}, None)
    assert rollout.on_hold(look(conn, new.id))
    assert "Waits for a person" in str(rollout.told(look(conn, new.id)))
    # A form's value stands in for the setting.
    assert judge(settings, new.id, 0.2).question is None


def test_the_best_that_is_served_is_the_measure(conn: Connection, settings: Settings, world: World) -> None:
    for number, ndcg in enumerate((0.1, 0.2)):
        follow(conn, version_of(conn, world, f"0000000{number}", ndcg), f"front-{number}")
    question = judge(settings, version_of(conn, world, "00000009", 0.15).id).question
    assert question is not None and "`front-0`, `front-1`" in question.body


def test_a_version_of_another_recipe_is_no_measure(conn: Connection, settings: Settings, world: World) -> None:
    old = version_of(conn, world, "00000001", 0.2)
    follow(conn, old)
    with conn.begin():
        store.update(conn, old.id, doc={"recipeArn": "arn:aws:personalize:::recipe/aws-sims"})
    assert judge(settings, version_of(conn, world, "00000002", 0.01).id).question is None


@pytest.fixture
def held(conn: Connection, settings: Settings, world: World) -> Resource:
    """A version that waits; campaign `front` serves a better one."""
    follow(conn, version_of(conn, world, "00000001", 0.2))
    new = version_of(conn, world, "00000002", 0.1)
    judge(settings, new.id)
    return look(conn, new.id)


def waiting(conn: Connection) -> list[str]:
    with conn.begin():
        return [version.id for version in rollout.waiting(conn) if not rollout.is_void(conn, version)]


def test_the_first_decision_stays(conn: Connection, held: Resource) -> None:
    assert waiting(conn) == [held.id]
    for choice, by in ((rollout.APPROVED, "ada"), (rollout.REJECTED, "bob")):
        with conn.begin():
            rollout.decide(conn, held.id, choice, by, NOW)
    version = look(conn, held.id)
    assert version.internal["held"]["decision"] == {"choice": "approved", "by": "ada", "at": NOW.isoformat()}
    assert not rollout.on_hold(version)
    assert "approved by ada" in str(rollout.told(version))
    assert waiting(conn) == []


def test_a_newer_version_that_is_good_enough_voids_the_question(
    conn: Connection, settings: Settings, world: World, held: Resource
) -> None:
    newer = version_of(conn, world, "00000003", 0.21)
    assert judge(settings, newer.id).question is None
    deploy(settings, newer.id)
    assert waiting(conn) == []


def test_a_newer_version_that_waits_takes_its_place(
    conn: Connection, settings: Settings, world: World, held: Resource
) -> None:
    newer = version_of(conn, world, "00000003", 0.12)
    question = judge(settings, newer.id).question
    assert question is not None and "0.2000 | 0.1200" in question.body
    assert waiting(conn) == [newer.id]
