"""Versions that clients have stopped: CREATE STOPPED as soon as nobody works on them any more."""

from __future__ import annotations

import logging

from sqlalchemy import Connection, select

from pipelines.registry import store
from pipelines.registry.tables import resources
from pipelines.repository import GroupRepository
from pipelines.settings import Settings
from pipelines.versions.stopping import nobody_works_on

log = logging.getLogger(__name__)


def end_stopped(conn: Connection, settings: Settings) -> int:
    """How many were ended. One whose task was killed may have left processes: those on this machine end too."""
    waiting = select(resources.c.id, resources.c.group_id).where(
        resources.c.kind == "SolutionVersion", resources.c.status == store.CREATE_STOPPING
    )
    with conn.begin():
        found = conn.execute(waiting).all()
    return sum(_end(conn, settings, one.id, one.group_id) for one in found)


def _end(conn: Connection, settings: Settings, id: str, group_id: str) -> bool:
    with conn.begin():
        if not nobody_works_on(conn, id):
            return False
        GroupRepository(settings, group_id).end_leftovers(id)
        version = store.get(conn, id=id, lock=True)
        if version is None or version.status != store.CREATE_STOPPING:
            return False
        store.update(conn, id, status=store.CREATE_STOPPED)
        log.info("request %s: %s: CREATE STOPPED", version.request_id, version.arn)
    return True
