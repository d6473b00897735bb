"""One round: what the users have in the database and in the current snapshots goes, and who may bring it back is known.

A training or an import that began before has frozen or fetched the old data. What it makes is swept in a later round,
once it has ended; rounds go on until one finds nothing. Whatever begins after the first round sees clean data.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import Connection, func, select

from pipelines.deletions import job as jobs
from pipelines.deletions import rows, snapshots
from pipelines.deletions.contents import Contents
from pipelines.deletions.errors import DeletionRefused
from pipelines.deletions.job import Job
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.store import Resource
from pipelines.versions.lookup import UPDATING

log = logging.getLogger(__name__)

WAITING_FOR = "waiting_for"
"""Member of a job's `internal`: ids of what had begun before; absent before the first round has ended."""
IN_ROUND = "in_round"
"""The same, true while a round goes on: one that was cut short may have found something and not said so."""
_WITH_DATA = ("DatasetImportJob", "DatasetExportJob", "BatchInferenceJob", "BatchSegmentJob")
PATIENCE = timedelta(hours=23)
"""AWS promises a day."""


def sweep(job: Job) -> bool:
    """Do a round unless something is still to be waited for; whether that was the last one.

    Raises DeletionRefused when something has not ended for a day.
    """
    with transaction(job.settings) as conn:
        resource = store.get(conn, id=job.id, lock=True)
        assert resource is not None, "a job in progress is not deleted"
        waiting = _unfinished(conn, resource.internal.get(WAITING_FOR, ()))
        if waiting:
            _wait(conn, resource, waiting)
            return False
        first = WAITING_FOR not in resource.internal or resource.internal[IN_ROUND]
        store.update(conn, job.id, internal={IN_ROUND: True}, touch=False)
    with transaction(job.settings) as conn:
        jobs.add(conn, job, rows.delete(conn, job.group.id, job.users()))
    found, begun = _sweep_snapshots(job)
    with transaction(job.settings) as conn:
        begun = begun if first or found else []
        store.update(conn, job.id, internal={WAITING_FOR: [one.id for one in begun], IN_ROUND: False}, touch=False)
    for one in begun:
        log.info("waiting for %s, which had begun with older data (%s)", one.arn, one.status)
    return not begun


def _sweep_snapshots(job: Job) -> tuple[bool, list[Resource]]:
    """Until a look finds none of the users; whether one did, and what was under way just before the last."""
    contents, found = Contents(job), False
    while True:
        # Before the look: what has ended by now is seen by it, what ends later is waited for.
        with transaction(job.settings) as conn:
            begun = _begun(conn, job)
        if not snapshots.sweep(job, contents.hold):
            return found, begun
        found = True


def _unfinished(conn: Connection, ids: Iterable[str]) -> list[Resource]:
    found = [store.get(conn, id=id) for id in ids]
    return [one for one in found if one is not None and _is_under_way(one)]


def _is_under_way(one: Resource) -> bool:
    """A version that is updated is ACTIVE meanwhile."""
    return one.status in store.UNFINISHED or bool(one.internal.get(UPDATING))


def _begun(conn: Connection, job: Job) -> list[Resource]:
    """Imports and batch jobs, whose files may name the users, exports, which hold copies, trainings with frozen inputs."""
    return [
        one
        for one in store.in_group(conn, job.group.id)
        if _is_under_way(one) and (one.kind in _WITH_DATA or "snapshots" in one.internal)
    ]


def _wait(conn: Connection, resource: Resource, waiting: list[Resource]) -> None:
    names = ", ".join(f"{one.arn} ({one.status})" for one in waiting)
    now = conn.execute(select(func.now())).scalar_one()
    if now - resource.created_at > PATIENCE:
        raise DeletionRefused(
            f"These have begun with data of before the deletion and have not ended for a day: {names}. Stop their runs "
            f"in Airflow, then create a new data deletion job with the same users; what was deleted stays deleted."
        )
    log.info("waiting for %s", names)
