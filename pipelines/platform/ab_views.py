"""What `openpersonalize ab` prints: a few plain tables, and in words what they allow to say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from pipelines.evaluation.arms import MISMATCH, Comparison, Interval
from pipelines.platform.ab_command import Arm, Outcome, Results
from pipelines.registry.experiments import FAILED, Experiment

FEWEST = 10
"""Users of both arms who did it, and who did not: with fewer nothing is said in words."""
FEWEST_FOR_MEANS = 20
"""Users of each arm who did it, for an interval of means: with fewer it is too narrow (tests/bench/ab_bench.py)."""
WIDTH = 26


def lines(found: Results) -> list[str]:
    """For a person."""
    experiment, (a, b) = found.experiment, found.arms
    shown = [
        f"campaign {found.campaign}, experiment {experiment.id}: {_state(experiment)}",
        f"A  {100 - experiment.share:>2} % of users  {_arm(a)}",
        f"B  {experiment.share:>2} % of users  {_arm(b)}",
        *_warnings(found),
    ]
    if experiment.started_at is not None:
        shown += _outcomes(found)
    shown += [f"another: experiment {one.id}, {_state(one)}" for one in found.others]
    return shown


def _state(experiment: Experiment) -> str:
    if experiment.ended_at is None:
        if experiment.started_at is None:
            return "the runtime's workers are loading B"
        return f"users are split since {_moment(experiment.started_at)}"
    if experiment.outcome == FAILED:
        return f"failed {_moment(experiment.ended_at)}. {experiment.failure_reason}"
    since = f"{_moment(experiment.started_at)} to " if experiment.started_at else "before it began, "
    return f"{since}{_moment(experiment.ended_at)}, B was {'promoted' if experiment.outcome == 'promoted' else 'taken out'}"


def _arm(arm: Arm) -> str:
    return f"{arm.users:>9,} answered, {arm.answers:,} times  {arm.version.partition(':')[2].rpartition(':')[2]}"


def _warnings(found: Results) -> Iterator[str]:
    experiment, (a, b) = found.experiment, found.arms
    if found.problem:
        yield f"a worker does not serve B just now, and answers its users as A does: {found.problem}"
    if found.mismatch < MISMATCH:
        expected = (a.users + b.users) * experiment.share / 100
        yield (
            f"do not rely on this: B has {b.users:,} users where {expected:,.0f} were to be. Chance does that in fewer than "
            "1 of 1,000 experiments, so something treats the arms differently: look for users who are lost in one of them"
        )
    if found.unnamed:
        yield (
            f"{found.unnamed:,} answers of the last 24 hours are no part of it, as they went to nobody: requests must name a "
            "user, or give the sessionId as userId"
        )


def _outcomes(found: Results) -> Iterator[str]:
    a, b = found.arms
    if not (a.users and b.users):
        yield "nothing can be said before both arms have answered somebody"
        return
    if not found.outcomes:
        yield "nothing can be said: no event came of these users after their first answer. Send some with PutEvents"
        return
    yield "\nSince each user's first answer, with intervals of 95 %:"
    for one in found.outcomes:
        yield from _outcome(one, a.users + b.users)
    if found.experiment.ended_at is None:
        yield (
            "\nDecide beforehand when to look: whoever looks every day and stops when 0 is left out is misled far more "
            "often than one time in 20."
        )


def _outcome(one: Outcome, users: int) -> Iterator[str]:
    yield f"\n{one.event_type:<{WIDTH}}{'A':>10}{'B':>10}   {'B - A':<32}{'B / A'}"
    yield _row("  users who did it", one.users, 100, " %")
    if one.of_lists:
        yield _row("  naming one of the lists", one.of_lists, 100, " %")
    enough = min(one.did) >= FEWEST_FOR_MEANS
    yield _row("  events a user", one.events, 1, "", enough=enough)
    if one.value:
        yield _row("  value a user", one.value, 1, "", enough=enough)
    yield f"  {_words(one, users)}"


def _row(name: str, of: Comparison, scale: int, unit: str, *, enough: bool = True) -> str:
    a, b = (f"{number * scale:,.{_digits(of, scale)}f}{unit}" for number in (of.a, of.b))
    if not enough:
        return f"{name:<{WIDTH}}{a:>10}{b:>10}   too few users for an interval"
    difference = _interval(of.difference, scale, _digits(of, scale), "+")
    return f"{name:<{WIDTH}}{a:>10}{b:>10}   {difference:<32}{_interval(of.ratio, 1, 2, '') if of.ratio else '-'}"


def _interval(one: Interval, scale: int, digits: int, sign: str) -> str:
    value, low, high = (f"{number * scale:{sign},.{digits}f}" for number in (one.value, one.low, one.high))
    return f"{value} ({low} to {high})"


def _digits(of: Comparison, scale: int) -> int:
    """So many that three figures of a small number are seen."""
    largest = max(abs(of.a), abs(of.b)) * scale
    return 2 if largest >= 1 else 4


def _words(one: Outcome, users: int) -> str:
    low, high = one.users.difference.low * 100, one.users.difference.high * 100
    did = sum(one.did)
    if min(did, users - did) < FEWEST:
        return f"too little: {did:,} of {users:,} users did it"
    if low > 0:
        return f"more users of B do it: by {low:.2f} to {high:.2f} points"
    if high < 0:
        return f"fewer users of B do it: by {-high:.2f} to {-low:.2f} points"
    said = f"nothing is shown: B may be {-low:.2f} points below A or {high:.2f} above"
    if one.needed is None:
        return said
    more = one.needed - users
    if more <= 0:
        return f"{said}; a difference as it looks now is mostly seen with so many users, so it may be smaller"
    return f"{said}; were the difference what it looks like, about {more:,} more users would show it"


def _moment(at: datetime | None) -> str:
    return "" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
