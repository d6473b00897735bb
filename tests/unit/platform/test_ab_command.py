"""Experiments of which everything is known: intervals cover it as often as they say, and words say no more than they may."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, Engine, func, text
from typer.testing import CliRunner

from pipelines.platform.ab_command import Results, as_json, collect, results
from pipelines.platform.ab_views import lines
from pipelines.platform.cli import app
from pipelines.platform.finding import NotFound
from pipelines.registry import audit, experiments, store, tables
from pipelines.registry.database import engine
from pipelines.registry.store import Resource
from pipelines.registry.tables import events, exposures
from pipelines.repository import GroupRepository
from pipelines.serving.arms import CHALLENGER, arm_of
from pipelines.settings import Settings
from pipelines.versions.history import versions_of
from tests.support.registry import add_campaign, add_group, add_solution, add_version

SHARE, DAY = 30, timedelta(days=1)


@pytest.fixture
def db(settings: Settings) -> Iterator[Engine]:
    ours = engine(settings)
    yield ours
    ours.dispose()


@pytest.fixture
def campaign(db: Engine) -> Resource:
    with db.begin() as conn:
        return add_campaign(conn, add_version(conn, add_solution(conn, add_group(conn))), "front", status="ACTIVE")


_USERS = text(
    "INSERT INTO openpersonalize.exposures SELECT :id, u, a, now() - interval '1 hour', 1 "
    "FROM unnest(CAST(:users AS text[]), CAST(:arms AS text[])) AS dealt (u, a)"
)
_BOUGHT = text(
    "INSERT INTO openpersonalize.events (group_id, user_key, session_id, event_id, event_type, sent_at) "
    "SELECT :group_id, u, 's', u, 'buy', 0 FROM unnest(CAST(:users AS text[])) AS u"
)


def run(
    conn: Connection, campaign: Resource, users: int, rates: tuple[float, float], random: np.random.Generator
) -> str:
    """An experiment that is over, whose users buy with these rates in A and B; its id."""
    id, now, arns = random.bytes(8).hex(), datetime.now(UTC), {"control_arn": "a:b", "challenger_arn": "c:d"}
    since = {"event_cutoff": 0, "created_at": func.now(), "started_at": now - DAY}
    ended = {"share": SHARE, "ended_at": now + DAY, "outcome": experiments.STOPPED}
    conn.execute(tables.experiments.insert().values(id=id, campaign_id=campaign.id, **arns, **since, **ended))
    named = [f"{id}-{n}" for n in range(users)]
    arms = [arm_of(id, user, SHARE).name for user in named]
    bought = random.random(users) < [rates[arm == CHALLENGER] for arm in arms]
    conn.execute(_USERS, {"id": id, "users": named, "arms": arms})
    buyers = [user for user, yes in zip(named, bought, strict=True) if yes]
    conn.execute(_BOUGHT, {"group_id": campaign.group_id, "users": buyers})
    return id


def test_in_95_of_100_experiments_the_interval_covers_the_known_difference(db: Engine, campaign: Resource) -> None:
    """How often of 1,000: tests/bench/ab_bench.py."""
    random, rates, runs = np.random.default_rng(7), (0.10, 0.16), 100
    with db.begin() as conn:
        ids = [run(conn, campaign, 200, rates, random) for _ in range(runs)]
    with db.begin() as conn:
        found = [results(conn, campaign, id).outcomes[0].users.difference for id in ids]
    covered = sum(one.low <= rates[1] - rates[0] <= one.high for one in found)
    assert covered >= 95


def told(settings: Settings, db: Engine, campaign: Resource, users: int, rates: tuple[float, float]) -> str:
    with db.begin() as conn:
        id = run(conn, campaign, users, rates, np.random.default_rng(round(100 * rates[1])))
    return "\n".join(lines(collect(settings, "front", id)))


def test_a_difference_that_is_seen_is_called_one(db: Engine, settings: Settings, campaign: Resource) -> None:
    assert "more users of B do it: by " in told(settings, db, campaign, 1000, (0.10, 0.30))
    assert "fewer users of B do it: by " in told(settings, db, campaign, 1000, (0.30, 0.10))


def test_one_that_is_not_seen_is_not_and_how_many_users_would_show_it_is_said(
    db: Engine, settings: Settings, campaign: Resource
) -> None:
    said = told(settings, db, campaign, 300, (0.20, 0.22))
    assert "nothing is shown: B may be " in said and "more users would show it" in said
    assert "too little: " in told(settings, db, campaign, 300, (0.01, 0.01))


def test_arms_that_were_dealt_wrongly_come_with_a_warning(db: Engine, settings: Settings, campaign: Resource) -> None:
    with db.begin() as conn:
        id = run(conn, campaign, 1000, (0.2, 0.2), np.random.default_rng(1))
        lost = exposures.c.arm == CHALLENGER
        conn.execute(exposures.delete().where(lost, exposures.c.user_key.like("%7%")))
    shown = lines(collect(settings, "front", id))
    assert any(line.startswith("do not rely on this: B has ") for line in shown)
    assert not any("do not rely" in line for line in told(settings, db, campaign, 1000, (0.2, 0.2)).splitlines())


def test_without_an_experiment_it_is_said_how_to_begin_one(settings: Settings, campaign: Resource) -> None:
    with pytest.raises(NotFound, match="ab front --start VERSION"):
        collect(settings, campaign.arn)


def test_earlier_ones_stay_readable_by_their_id(db: Engine, settings: Settings, campaign: Resource) -> None:
    with db.begin() as conn:
        first = run(conn, campaign, 50, (0.5, 0.5), np.random.default_rng(1))
    with db.begin() as conn:
        second = run(conn, campaign, 60, (0.5, 0.5), np.random.default_rng(2))
    newest, older = collect(settings, "front"), collect(settings, "front", first)

    def of(found: Results) -> tuple[str, int, list[str]]:
        return found.experiment.id, sum(arm.users for arm in found.arms), [one.id for one in found.others]

    assert (of(newest), of(older)) == ((second, 60, [first]), (first, 50, [second]))
    assert f"another: experiment {first}, " in "\n".join(lines(newest))
    assert f'"id": "{second}"' in as_json(newest)
    with pytest.raises(NotFound, match=f"there are: {second}, {first}"):
        collect(settings, "front", "nothing")


def test_events_before_the_first_answer_or_after_the_end_do_not_count(
    db: Engine, settings: Settings, campaign: Resource
) -> None:
    with db.begin() as conn:
        id = run(conn, campaign, 20, (1.0, 1.0), np.random.default_rng(1))
        early = exposures.c.user_key == f"{id}-3"
        conn.execute(exposures.update().where(early).values(first_at=datetime.now(UTC) + timedelta(hours=1)))
        late: Any = events.update().where(events.c.user_key == f"{id}-4")
        conn.execute(late.values(received_at=datetime.now(UTC) + timedelta(days=2)))
    assert sum(collect(settings, "front", id).outcomes[0].did) == 18


# As it is typed ----------------------------------------------------------------------------------------------


@pytest.fixture
def typed(settings: Settings, db: Engine, campaign: Resource, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`typed("front", "--stop")`; there is a version 0000000b of the campaign's solution, and no runtime."""
    monkeypatch.setattr("pipelines.platform.cli_experiments.running", lambda: settings)
    monkeypatch.setattr("pipelines.platform.cli_experiments.PATIENCE", 0.0)
    with db.begin() as conn:
        solution = store.get(conn, id=campaign.parent_id)
        assert solution is not None
        add_version(conn, solution, "0000000b")
    return lambda *arguments: CliRunner().invoke(app, ["ab", *arguments])


def test_an_experiment_from_its_start_to_its_end(
    typed: Callable[..., Any], settings: Settings, db: Engine, campaign: Resource
) -> None:
    started = typed("front", "--start", "0000000b", "--share", "20")
    assert started.exit_code == 0 and "the runtime's workers are loading B" in started.output
    assert "B  20 % of users" in started.output and "solution/taste/0000000b" in started.output
    with db.begin() as conn:
        solution = store.get(conn, id=campaign.parent_id)
        assert solution is not None
        GroupRepository(settings, str(solution.group_id)).ensure()
        found = {one.short: one.serves for one in versions_of(settings, conn, solution)}
    assert found == {"0000000b": ["front as B of an experiment"], "00000001": ["front"]}
    assert json.loads(typed("front", "--json").output)["experiment"]["share"] == 20
    assert "stopped: arn:aws:personalize" in typed("front", "--stop").output
    assert "before it began" in typed("front").output
    typed("front", "--start", "0000000b")
    assert "the campaign is being updated" in typed("front", "--promote").output
    with db.begin() as conn:
        commands = [row["operation"].split(" arn:")[0] for row in audit.since(conn, datetime.now(UTC) - DAY)]
    assert commands == [f"openpersonalize ab --{verb}" for verb in ("start", "stop", "start", "promote")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["front", "--stop", "--promote"], "give one of --start, --stop and --promote"),
        (["front", "--start", "nix"], "there is no solution version 'nix'"),
        (["front", "--start", "00000001"], "is what the campaign serves"),
        (["nix"], "there is no campaign 'nix'"),
        (["front", "--stop"], "carries no experiment"),
    ],
    ids=["two-verbs", "no-version", "same-version", "no-campaign", "no-experiment"],
)
def test_what_cannot_be_done_is_said_in_a_line(typed: Callable[..., Any], arguments: list[str], said: str) -> None:
    refused = typed(*arguments)
    assert refused.exit_code == 1 and said in refused.output and refused.output.count("\n") == 1
