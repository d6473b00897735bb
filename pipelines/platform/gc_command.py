"""`openpersonalize gc`: old versions go, what is needed stays."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from pipelines.platform.audit_command import note
from pipelines.platform.finding import find
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.store import Resource
from pipelines.registry.tables import resources
from pipelines.repository import GroupRepository
from pipelines.settings import Settings
from pipelines.versions.collecting import Freed, collect, look


def solutions(settings: Settings, given: str | None) -> list[Resource]:
    """The solution with that ARN, name or id, or all; raises NotFound."""
    with transaction(settings) as conn:
        if given is not None:
            return [find(conn, "Solution", given, "solution")]
        query = select(resources.c.id).where(resources.c.kind == "Solution", resources.c.status == store.ACTIVE)
        found = [store.get(conn, id=id) for id in conn.execute(query.order_by(resources.c.created_at)).scalars()]
    return [solution for solution in found if solution is not None]


def run(settings: Settings, found: list[Resource], keep_last: int, now: datetime, *, dry: bool) -> list[Freed]:
    """What goes and what stays, a solution at a time; `dry`: nothing is changed. Raises RepositoryError.

    Cache and remote are cleaned also when nothing goes: an earlier call may have been cut off before that.
    """
    if dry:
        return [look(settings, solution, keep_last) for solution in found]
    with transaction(settings) as conn:
        for solution in found:
            note(conn, "gc", solution.arn)
    freed = [collect(settings, solution, keep_last, now) for solution in found]
    for group_id in sorted({str(solution.group_id) for solution in found}):
        GroupRepository(settings, group_id).purge()
    return freed


def lines(freed: list[Freed], *, dry: bool) -> list[str]:
    """For a person."""
    shown = []
    for one in freed:
        going = [decision for decision in one.decisions if decision.kept_for is None]
        shown.append(f"{one.solution}: {len(one.decisions) - len(going)} versions stay, {len(going)} go")
        for decision in one.decisions:
            end = decision.version.arn.rpartition("/")[2]
            verb = "would be dropped" if dry else "dropped"
            shown.append(f"  {end}  {f'kept: {decision.kept_for}' if decision.kept_for else verb}")
    size = sum(one.bytes for one in freed) / 1e6
    shown.append(f"{'would free' if dry else 'freed'} {size:,.1f} MB of the remote, and what the cache had of it")
    return shown
