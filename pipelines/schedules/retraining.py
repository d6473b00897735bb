"""What the DAGs `full_retrain` and `automatic_training` do: ask what is due, make its versions, wait for their end.

The training itself is the run of DAG `solution_version` that a version's wish starts, as for one that a client makes:
there it queues for its solution's branch and for the pool `memory`.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from sqlalchemy import Connection, func, select

from pipelines.aws.errors import ResourceInUse, ResourceNotFound
from pipelines.control import lookup
from pipelines.control.context import Context
from pipelines.control.solution_versions import create_automatic
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.store import Resource
from pipelines.schedules.due import Asker, Decision, due
from pipelines.schedules.known import known
from pipelines.settings import Settings

log = logging.getLogger(__name__)


class TrainingFailed(RuntimeError):
    """A version ended without a model; the message is its failureReason."""


@dataclass(frozen=True)
class Run:
    """A run of one of the two DAGs."""

    asker: Asker
    moment: datetime
    """What it decides for."""
    id: str
    only: Sequence[str] | None = None
    """ARNs: no other solutions than these."""
    force: bool = False
    """These, or else all with automatic training, whether due or not."""


class Wanted(TypedDict):
    """A solution to train."""

    arn: str
    name: str


def look(settings: Settings, run: Run) -> list[Wanted]:
    """The solutions that a run is to train; the log says why, and why not the others. Raises ResourceNotFound."""
    with transaction(settings) as conn:
        context = _context(conn, settings, run)
        decisions = due([known(context, one) for one in _solutions(context, run.only)], run.moment, run.asker)
    if run.force:
        wanted = [one for one in decisions if run.only is not None or one.solution.automatic_since is not None]
    else:
        wanted = [one for one in decisions if one.due]
    _explain(decisions, wanted, run.moment)
    return [{"arn": one.solution.arn, "name": one.solution.name} for one in wanted]


def create(settings: Settings, run: Run, solution_arn: str) -> str | None:
    """The id of the version that a run makes of a solution; None when it is no longer due, or gone.

    Decided and written with the solution held, so that of two runs one makes it. A retry of the run gets the same.
    Raises what CreateSolutionVersion raises.
    """
    with transaction(settings) as conn:
        context = _context(conn, settings, run)
        try:
            solution = lookup.lock_active(context, "Solution", solution_arn)
        except (ResourceNotFound, ResourceInUse) as gone:
            log.info("nothing to train: %s", gone)
            return None
        for version in store.children(conn, solution.id, "SolutionVersion"):
            if version.request_id == context.request_id:
                log.info("this run has made %s already", version.arn)
                return version.id
        [decision] = due([known(context, solution)], run.moment, run.asker)
        if not (run.force or decision.due):
            log.info("%s is no longer due: %s", solution.name, decision.reason)
            return None
        version = create_automatic(context, solution, scheduled_for=run.moment)
        log.info("%s: made %s", "asked for" if run.force else decision.reason, version.arn)
        return version.id


def ended(settings: Settings, version_id: str) -> bool:
    """Whether the version's training has come to an end; raises TrainingFailed when that was without a model."""
    with transaction(settings) as conn:
        version = store.get(conn, id=version_id)
    if version is None or version.is_deleting:
        log.info("version %s was deleted meanwhile", version_id)
        return True
    log.info("%s is %s", version.arn, version.status)
    if version.status in store.UNFINISHED:
        return False
    if version.status == store.CREATE_STOPPED:
        # As somebody wanted: nothing is wrong.
        return True
    if version.status != store.ACTIVE:
        raise TrainingFailed(f"{version.arn} is {version.status}: {version.failure_reason}")
    return True


def _context(conn: Connection, settings: Settings, run: Run) -> Context:
    # By its request's id a run finds the versions that it has made.
    return Context(conn, settings, f"{run.asker.dag_id}/{run.id}", conn.execute(select(func.now())).scalar_one())


def _solutions(context: Context, only: Sequence[str] | None) -> list[Resource]:
    if only is None:
        return [found for found in store.of_kind(context.conn, "Solution") if found.status == store.ACTIVE]
    return [lookup.require(context, "Solution", arn) for arn in dict.fromkeys(only)]


def _explain(decisions: Iterable[Decision], wanted: Sequence[Decision], moment: datetime) -> None:
    log.info("%d solution(s) to train at %s", len(wanted), moment.isoformat(timespec="minutes"))
    others = defaultdict(list)
    for one in decisions:
        if one in wanted:
            log.info("%s: %s%s", one.solution.name, "" if one.due else "asked for, although: ", one.reason)
        else:
            others[one.reason].append(one.solution.name)
    for reason, names in others.items():
        log.info("not %s: %s", ", ".join(names), reason)
