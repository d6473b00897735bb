"""Which solutions are to be trained at a moment, and in words why, and why not the others (spec: training.md section 2).

Two DAGs ask. `full_retrain`, weekly, for solutions on the default schedule; `automatic_training`, every half hour, for
the first version of every solution and for rates of their own. A solution is at any time the business of one of them,
so none is trained twice.

A run decides for the moment nearest to it: something is due from half an interval before its time. A weekly run at
00:00:03 after one at 00:00:07 is thus weekly, and no schedule drifts. The clock counts from the moment the previous
training was due, not from when its turn came, so that what queues shifts nothing.

A training that failed counts for the clock, so a solution that cannot be trained fails once a period and not every half
hour. What is new is measured against the last training that succeeded, so what failed is tried again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipelines.registry import store

# Unlike AWS, training: solutions on the default rate are retrained in one weekly run (DAG `full_retrain`), so the
# second training comes half a week to a week and a half after the first. One run a week can be watched, and moved to
# a quiet night.
DEFAULT_RATE = timedelta(days=7)
FIRST_AFTER = timedelta(minutes=25)
"""Of automatic training, before its first version. The specification says within the hour and skips one if a version is
made by hand: so a client who trains right after CreateSolution, as notebooks do, must have made that version before
automatic training looks, and who looks every half hour must have looked before the hour is over, with time to start."""


@dataclass(frozen=True)
class Asker:
    """A DAG that asks, and how long it is from one of its runs to the next."""

    dag_id: str
    every: timedelta


FULL_RETRAIN = Asker("full_retrain", timedelta(days=7))
AUTOMATIC_TRAINING = Asker("automatic_training", timedelta(minutes=30))
ASKERS = {asker.dag_id: asker for asker in (FULL_RETRAIN, AUTOMATIC_TRAINING)}


@dataclass(frozen=True)
class Training:
    """A FULL version, of whichever status: `began` is when it was due, of one by hand when it was asked for."""

    name: str
    began: datetime
    status: str


@dataclass(frozen=True)
class Known:
    """What decides about a solution."""

    arn: str
    name: str
    automatic_since: datetime | None
    """When it was created, or automatic training was turned on again; None: it is off."""
    rate: timedelta | None
    """Its own; None: the default."""
    trainings: tuple[Training, ...]
    """In any order."""
    new_data: bool
    """Whether interactions have come that its last successful training had not."""
    obstacle: str | None = None
    """Why a version of it would be refused."""


@dataclass(frozen=True)
class Decision:
    """Whether a solution is to be trained now, and why or why not."""

    solution: Known
    due: bool
    reason: str


def due(solutions: Iterable[Known], now: datetime, asker: Asker) -> list[Decision]:
    """One decision a solution, in the order given."""
    return [Decision(solution, *_decide(solution, now, asker)) for solution in solutions]


def _decide(solution: Known, now: datetime, asker: Asker) -> tuple[bool, str]:
    if solution.automatic_since is None:
        return False, "automatic training is off"
    owner, at, why = _next(solution, solution.automatic_since)
    if asker != owner:
        return False, f"{why}: the business of {owner.dag_id}"
    if now < at:
        return False, f"{why}: not before {at:%Y-%m-%d %H:%M} UTC"
    unfinished = [training for training in solution.trainings if training.status in store.UNFINISHED]
    if unfinished:
        return False, f"{why}, but {unfinished[0].name} is {unfinished[0].status}"
    if not solution.new_data:
        return False, f"{why}, but no interactions have come since the last training"
    if solution.obstacle is not None:
        return False, f"{why}, but a version would be refused: {solution.obstacle}"
    return True, why


def _next(solution: Known, since: datetime) -> tuple[Asker, datetime, str]:
    """Whose business the solution's next training is, from which moment on, and what it is."""
    began = [training.began for training in solution.trainings if training.began >= since]
    if not began:
        return AUTOMATIC_TRAINING, since + FIRST_AFTER, "first version"
    owner = FULL_RETRAIN if solution.rate is None else AUTOMATIC_TRAINING
    rate = solution.rate or DEFAULT_RATE
    return owner, max(began) + rate - owner.every / 2, f"every {rate.days} day{'s' if rate.days > 1 else ''}"
