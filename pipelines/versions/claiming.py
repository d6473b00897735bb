"""The first step of a version: what exactly it is trained from is written down before anything runs."""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import Connection, text

from pipelines.datasets.impressions import resolve
from pipelines.datasets.snapshot import IMPORTED
from pipelines.registry import store
from pipelines.registry.database import engine
from pipelines.registry.tables import SCHEMA
from pipelines.settings import Settings
from pipelines.versions.errors import VersionFailed, VersionGone
from pipelines.versions.lookup import Subject, refuse_stopped, subject

log = logging.getLogger(__name__)

STARTABLE = store.UNFINISHED | {store.CREATE_FAILED}
"""CREATE FAILED too: who clears a failed task in the Airflow UI wants it to go on."""


def claim(settings: Settings, version_id: str) -> None:
    """CREATE IN_PROGRESS, with the snapshots and the newest streamed rows recorded; a retry keeps what was recorded.

    Raises VersionFailed when there is nothing to train from, VersionGone when the version has ended.
    """
    database = engine(settings, pool_size=1)
    try:
        with database.begin() as conn:
            found = start(conn, version_id)
            if "snapshots" not in found.version.internal:
                inputs = freeze(conn, found)
                store.update(conn, version_id, internal=inputs)
                log.info("inputs frozen: %s", inputs)
        # In a transaction of its own: the one above holds new events back.
        with database.connect() as conn:
            resolve(conn)
    finally:
        database.dispose()


def start(conn: Connection, version_id: str) -> Subject:
    """Mark the version as in progress, also when a step in the middle is repeated; raises VersionGone, VersionStopped."""
    found = subject(conn, version_id, lock=True)
    refuse_stopped(found.version)
    if found.version.status not in STARTABLE:
        raise VersionGone(
            f"Solution version {found.version.arn} is {found.version.status}; create a new version to train again."
        )
    if found.version.status == store.CREATE_FAILED:
        # The reconciler had looked away.
        conn.execute(text(f"UPDATE {SCHEMA}.outbox SET settled_at = NULL WHERE resource_id = :id"), {"id": version_id})
    store.update(conn, version_id, status=store.CREATE_IN_PROGRESS, failure_reason=None)
    return found


def freeze(conn: Connection, found: Subject) -> dict[str, Any]:
    """What there is now: the datasets' snapshots, and the numbers of the newest streamed rows; raises VersionFailed."""
    from pipelines.datasets.streamed import newest_event, newest_record

    datasets = [d for d in store.in_group(conn, found.group_id, "Dataset") if not d.is_deleting]
    snapshots = {
        d.doc["datasetType"]: {"dataset_id": d.id, IMPORTED: d.internal.get(IMPORTED), **d.internal["snapshot"]}
        for d in datasets
        if "snapshot" in d.internal
    }
    if not any(d.doc["datasetType"] == "INTERACTIONS" for d in datasets):
        raise VersionFailed(
            "The dataset group has no Interactions dataset. Create one, import data into it, then create a new version."
        )
    cutoff = newest_event(conn, found.group_id)
    if "INTERACTIONS" not in snapshots and not cutoff:
        raise VersionFailed(
            "The Interactions dataset is empty: no import has succeeded and no event was recorded. "
            "Import interactions, then create a new version."
        )
    records = {
        d.doc["datasetType"]: newest_record(conn, d.id) for d in datasets if d.doc["datasetType"] in ("ITEMS", "USERS")
    }
    return {"snapshots": snapshots, "event_cutoff": cutoff, "record_cutoffs": records}
