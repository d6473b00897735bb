"""`openpersonalize ab`: a campaign's experiment, begun, read and ended; what it is: pipelines/control/experiments.py.

Everybody counts in the arm that he was dealt to, from his first answer on, with every event that comes of him until the
experiment ends, whether or not it names a list: a customer who is shown better things may buy by another way. Events that do
name a list of the experiment are counted by themselves as well; they tell of the lists and not of the shop.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import Connection, func, select, text

from pipelines.control import experiments as operations
from pipelines.control.context import Context
from pipelines.evaluation.arms import Comparison, Sample, means, mismatch, shares, users_needed
from pipelines.platform.audit_command import note
from pipelines.platform.finding import NotFound, find, find_version
from pipelines.registry import experiments
from pipelines.registry.database import transaction
from pipelines.registry.experiments import Experiment
from pipelines.registry.store import Resource
from pipelines.registry.workers import reports
from pipelines.serving.arms import CHALLENGER, CONTROL, like
from pipelines.settings import Settings

_EXPOSED = text(
    """
    SELECT arm, count(*) AS users, sum(answers)::bigint AS answers FROM openpersonalize.exposures
    WHERE experiment_id = :id GROUP BY arm
    """
)
# When an event came, not when it says that it happened: clocks of clients are anybody's.
_EVENTS = text(
    """
    WITH of_user AS (
        SELECT exposed.arm, lower(e.event_type) AS kind, min(e.event_type) AS name, count(*) AS events,
               count(*) FILTER (WHERE e.recommendation_id LIKE :lists) AS of_lists,
               count(e.event_value) AS valued, coalesce(sum(e.event_value), 0) AS value
        FROM openpersonalize.exposures exposed
        JOIN openpersonalize.events e ON e.group_id = :group_id AND e.user_key = exposed.user_key
        WHERE exposed.experiment_id = :id AND e.id > :cutoff AND e.received_at >= exposed.first_at
          AND e.received_at < coalesce(CAST(:until AS timestamptz), 'infinity')
        GROUP BY exposed.arm, exposed.user_key, kind
    )
    SELECT kind, min(name) AS name, arm, count(*) AS users, count(*) FILTER (WHERE of_lists > 0) AS of_lists,
           sum(events)::bigint AS events, sum(events ^ 2)::float8 AS squares,
           sum(valued)::bigint AS valued, sum(value) AS value, sum(value ^ 2) AS value_squares
    FROM of_user GROUP BY kind, arm ORDER BY kind
    """
)
_UNNAMED = text(
    "SELECT count(*) FROM openpersonalize.served "
    "WHERE campaign_id = :campaign_id AND served_at >= :since AND served_at < coalesce(CAST(:until AS timestamptz), 'infinity') "
    "AND user_id IS NULL"
)


@dataclass(frozen=True)
class Arm:
    """Whom a version has answered."""

    version: str
    """ARN."""
    users: int = 0
    answers: int = 0


@dataclass(frozen=True)
class Outcome:
    """What users did of one event type since their first answer."""

    event_type: str
    users: Comparison
    """Shares of users who did it."""
    did: tuple[int, int]
    """So many, in A and B."""
    of_lists: Comparison | None
    """Shares of users with an event that names a list of the experiment; None: no event does."""
    events: Comparison
    """Events a user."""
    value: Comparison | None
    """Sum of eventValue a user; None: no event has one."""
    needed: int | None
    """Users in both arms of whom four experiments in five show the difference of shares that is seen now."""


@dataclass(frozen=True)
class Results:
    """What an experiment shows; there are outcomes only when both arms have answered somebody."""

    campaign: str
    experiment: Experiment
    arms: tuple[Arm, Arm]
    mismatch: float
    """How likely chance deals the arms so unevenly; 1.0 when nobody was answered."""
    outcomes: Sequence[Outcome]
    unnamed: int
    """Answers without userId, of the last 24 hours at most: they are no part of it."""
    problem: str | None
    """Why a worker does not serve the challenger just now."""
    others: Sequence[Experiment]


# Begin and end ------------------------------------------------------------------------------------------


def start(settings: Settings, campaign: str, challenger: str, share: int) -> Experiment:
    """Raises NotFound, and AwsError with what keeps it from beginning."""
    with transaction(settings) as conn:
        found, version = find(conn, "Campaign", campaign, "campaign"), find_version(conn, challenger)
        begun = operations.start(_context(conn, settings), found.arn, version.arn, share)
        note(conn, f"ab --start {version.arn} --share {share}", found.arn)
    return begun


def stop(settings: Settings, campaign: str) -> Resource:
    """The campaign, as it was; raises NotFound, AwsError."""
    return _end(settings, campaign, operations.stop, "ab --stop")


def promote(settings: Settings, campaign: str) -> Resource:
    """The campaign, as it was; raises NotFound, AwsError."""
    return _end(settings, campaign, operations.promote, "ab --promote")


def _end(settings: Settings, campaign: str, end: Callable[[Context, str], Resource], noted: str) -> Resource:
    with transaction(settings) as conn:
        found = find(conn, "Campaign", campaign, "campaign")
        ended = end(_context(conn, settings), found.arn)
        note(conn, noted, found.arn)
    return ended


def state(settings: Settings, experiment: Experiment) -> Experiment:
    """The experiment as it is now; raises NotFound when its campaign was deleted."""
    with transaction(settings) as conn:
        found = [one for one in experiments.of_campaign(conn, experiment.campaign_id) if one.id == experiment.id]
    if not found:
        raise NotFound("the campaign was deleted, and its experiment with it")
    return found[0]


def _context(conn: Connection, settings: Settings) -> Context:
    return Context(conn, settings, "openpersonalize ab", conn.execute(select(func.now())).scalar_one())


# Results ------------------------------------------------------------------------------------------------


def collect(
    settings: Settings, campaign: str, experiment_id: str | None = None, event_types: Collection[str] = ()
) -> Results:
    """Of the campaign's newest experiment, or of the one named; of all event types, or of those. Raises NotFound."""
    with transaction(settings) as conn:
        return results(conn, find(conn, "Campaign", campaign, "campaign"), experiment_id, event_types)


def results(
    conn: Connection, campaign: Resource, experiment_id: str | None = None, event_types: Collection[str] = ()
) -> Results:
    """The same, in the caller's transaction."""
    every = experiments.of_campaign(conn, campaign.id)
    experiment = _chosen(campaign, every, experiment_id)
    arms = _arms(conn, experiment)
    users_a, users_b = (arm.users for arm in arms)
    outcomes = _outcomes(conn, campaign, experiment, arms) if users_a and users_b else []
    wanted = {name.lower() for name in event_types}
    return Results(
        campaign.name,
        experiment,
        arms,
        mismatch(users_a, users_b, experiment.share) if users_a + users_b else 1.0,
        [one for one in outcomes if not wanted or one.event_type.lower() in wanted],
        _unnamed(conn, experiment),
        _problem(conn, campaign, experiment),
        [one for one in every if one.id != experiment.id],
    )


def _chosen(campaign: Resource, every: Sequence[Experiment], id: str | None) -> Experiment:
    found = [one for one in every if id in (None, one.id)]
    if not found:
        there = ", ".join(one.id for one in every)
        missing = f"experiment {id!r}; there are: {there}" if there else "experiment yet"
        raise NotFound(
            f"campaign {campaign.name} has no {missing}"
            + ("" if there else f": `openpersonalize ab {campaign.name} --start VERSION --share 20` begins one")
        )
    return found[0]


def _arms(conn: Connection, experiment: Experiment) -> tuple[Arm, Arm]:
    counted = {row.arm: (row.users, row.answers) for row in conn.execute(_EXPOSED, {"id": experiment.id})}
    return (
        Arm(experiment.control_arn, *counted.get(CONTROL, ())),
        Arm(experiment.challenger_arn, *counted.get(CHALLENGER, ())),
    )


@dataclass(frozen=True)
class _Did:
    """What the users of an arm did of one event type."""

    users: int = 0
    of_lists: int = 0
    events: int = 0
    squares: float = 0.0
    valued: int = 0
    value: float = 0.0
    value_squares: float = 0.0


def _outcomes(conn: Connection, campaign: Resource, experiment: Experiment, arms: tuple[Arm, Arm]) -> list[Outcome]:
    given = {
        "id": experiment.id,
        "group_id": campaign.group_id,
        "cutoff": experiment.event_cutoff,
        "until": experiment.ended_at,
        "lists": like(experiment.id),
    }
    names: dict[str, str] = {}
    did: dict[str, dict[str, _Did]] = {}
    for row in conn.execute(_EVENTS, given):
        kind, name, arm, *counts = row
        names.setdefault(kind, name)
        did.setdefault(kind, {})[arm] = _Did(*counts)
    both = (arms[0].users, arms[1].users)
    nothing = _Did()
    found = [
        _outcome(names[kind], both, by_arm.get(CONTROL, nothing), by_arm.get(CHALLENGER, nothing), experiment.share)
        for kind, by_arm in did.items()
    ]
    return sorted(found, key=lambda one: -sum(one.did))


def _outcome(name: str, users: tuple[int, int], a: _Did, b: _Did, share: int) -> Outcome:
    did = shares((users[0], a.users), (users[1], b.users))
    return Outcome(
        name,
        did,
        (a.users, b.users),
        shares((users[0], a.of_lists), (users[1], b.of_lists)) if a.of_lists or b.of_lists else None,
        means(Sample(users[0], a.events, a.squares), Sample(users[1], b.events, b.squares)),
        means(Sample(users[0], a.value, a.value_squares), Sample(users[1], b.value, b.value_squares))
        if a.valued or b.valued
        else None,
        users_needed(did.a, did.b, share),
    )


def _unnamed(conn: Connection, experiment: Experiment) -> int:
    if experiment.started_at is None:
        return 0
    given = {"campaign_id": experiment.campaign_id, "since": experiment.started_at, "until": experiment.ended_at}
    return int(conn.execute(_UNNAMED, given).scalar_one())


def _problem(conn: Connection, campaign: Resource, experiment: Experiment) -> str | None:
    if experiment.ended_at is not None:
        return None
    now: datetime = conn.execute(select(func.now())).scalar_one()
    return reports(conn, campaign.id, campaign.internal["deployment"]["id"], now)[1]


def as_json(found: Results) -> str:
    """For programs: the members of Results."""
    return orjson.dumps(dataclasses.asdict(found), option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode()
