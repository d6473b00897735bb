"""Which versions DAG `incremental_update` is to update now, and why the others are not (spec: training.md section 4)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

from sqlalchemy import Connection

from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.store import Resource
from pipelines.schedules.new_data import new_data
from pipelines.settings import Settings
from pipelines.versions.lookup import UPDATES, UPDATING
from pipelines.versions.new_items import new_items
from pipelines.versions.updatable import NotUpdatable, automatic

log = logging.getLogger(__name__)


class Wanted(TypedDict):
    """A version to update, and the name of its solution."""

    version_id: str
    name: str


def updates_due(settings: Settings, only: Sequence[str] | None = None) -> list[Wanted]:
    """The versions to update; the log says why, and why not the others.

    `only`: these solutions' (ARNs), whether there is anything new or not; raises NotUpdatable when one cannot be updated.
    """
    wanted: list[Wanted] = []
    with transaction(settings) as conn:
        for solution in _solutions(conn, only):
            try:
                version, why = _due(conn, solution, asked_for=only is not None)
            except NotUpdatable as error:
                if only is not None:
                    raise
                version, why = None, str(error)
            log.info("%s: %s", solution.name, why)
            if version is not None:
                wanted.append({"version_id": version.id, "name": solution.name})
    return wanted


def _solutions(conn: Connection, only: Sequence[str] | None) -> list[Resource]:
    if only is None:
        return [found for found in store.of_kind(conn, "Solution") if found.status == store.ACTIVE]
    found = [(arn, store.get(conn, arn=arn)) for arn in dict.fromkeys(only)]
    missing = [arn for arn, solution in found if solution is None or solution.kind != "Solution"]
    if missing:
        raise NotUpdatable(f"There is no solution {', '.join(missing)}; ListSolutions shows those there are.")
    return [solution for _, solution in found if solution is not None]


def _due(conn: Connection, solution: Resource, *, asked_for: bool) -> tuple[Resource | None, str]:
    """The version to update or None, and why."""
    for version in store.children(conn, solution.id, "SolutionVersion"):
        if version.internal.get(UPDATING):
            return version, f"update {version.internal[UPDATING]['number']} of {version.arn} was cut short"
    version = automatic(conn, solution)
    if asked_for:
        return version, f"{version.arn} is to be updated now"
    updates = version.internal.get(UPDATES)
    seen = replace(version, internal=updates[-1]) if updates else version
    if new_data(conn, solution, seen):
        return version, f"there are new interactions for {version.arn}"
    if new_items(conn, str(solution.group_id), seen.internal):
        return version, f"there are new items for {version.arn}"
    return None, f"nothing new for {version.arn}"
