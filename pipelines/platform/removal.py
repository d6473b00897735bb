"""Deletes end here: rows with all that hangs on them in one transaction, and the files that they stood for.

Files go first. A crash in between leaves a row in DELETE_IN_PROGRESS, and the next attempt finds fewer files.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection, case, delete, select

from pipelines.datasets.impressions import resolve
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.registry.tables import action_events, events, outbox, records, resources
from pipelines.repository import GroupRepository, RepositoryError
from pipelines.settings import Settings
from pipelines.versions import bentos

log = logging.getLogger(__name__)

# Unlike AWS, resources: what was deleted is gone within seconds, not minutes. Nothing has to be taken down but rows
# and files.
GROUP_VISIBLE = timedelta(seconds=0.5)
"""How long at least a dataset group can still be described after its delete, as clients that wait for it expect."""

_WITH = {
    "Solution": ("SolutionVersion",),
    "SolutionVersion": ("BatchInferenceJob", "BatchSegmentJob"),
    "Dataset": ("DatasetImportJob", "DatasetExportJob"),
}
"""Kinds that go with what they hang on; others hold it up."""

# What others hang on comes later.
_ORDER = ("Recommender", "Campaign", "EventTracker", "Solution", "Dataset", "DatasetGroup")


def remove_deleted(conn: Connection, settings: Settings, now: datetime) -> int:
    """Remove what is marked for it; how many resources went. One that cannot be removed holds up no other."""
    rank = case({kind: place for place, kind in enumerate(_ORDER)}, value=resources.c.kind, else_=len(_ORDER))
    with conn.begin():
        doomed = select(resources.c.id).where(resources.c.status.in_(store.DELETING)).order_by(rank)
        ids = list(conn.execute(doomed).scalars())
    removed = 0
    for id in ids:
        try:
            removed += _remove(conn, settings, id, now)
        except (OSError, RepositoryError):
            log.exception("resource %s stays in DELETE IN_PROGRESS: its files cannot be removed", id)
    return removed


def _remove(conn: Connection, settings: Settings, id: str, now: datetime) -> bool:
    with conn.begin():
        resource = store.get(conn, id=id, lock=True)
        if resource is None:
            return False
        if resource.status == store.DELETE_PENDING:
            # As of now, not of the transaction's start, so that a group is visible long enough.
            store.update(conn, id, status=store.DELETE_IN_PROGRESS)
        hanging = _hanging(conn, resource)
    if resource.kind == "DatasetGroup" and (resource.status == store.DELETE_PENDING or _too_fresh(resource, now)):
        return False
    if any(child.status in store.UNFINISHED for child in hanging) or _still_needed(conn, resource, hanging):
        return False
    if resource.kind == "Campaign":
        # Events name its answers, and metric attributions go on to name it.
        resolve(conn)
    _remove_files(settings, resource, hanging)
    with conn.begin():
        _remove_rows(conn, resource, _hanging(conn, resource))
    log.info("request %s: deleted %s", resource.request_id, resource.arn)
    return True


def _too_fresh(group: Resource, now: datetime) -> bool:
    return now - group.updated_at < GROUP_VISIBLE


def _still_needed(conn: Connection, resource: Resource, hanging: Iterable[Resource]) -> bool:
    """Whether something that does not go with it refers to it: a campaign whose own delete has not ended."""
    going = {one.id for one in hanging}
    with conn.begin():
        return any(child.id not in going for child in store.children(conn, resource.id))


def _hanging(conn: Connection, resource: Resource) -> list[Resource]:
    """What goes with it: versions with their solution, jobs with their dataset or version, all with their group."""
    if resource.kind == "DatasetGroup":
        return store.in_group(conn, resource.id)
    kinds = _WITH.get(resource.kind, ())
    going = [child for child in store.children(conn, resource.id) if child.kind in kinds]
    return [*going, *(one for child in going for one in _hanging(conn, child))]


def _remove_files(settings: Settings, resource: Resource, hanging: Iterable[Resource]) -> None:
    folders = {
        "DatasetImportJob": settings.imports_dir,
        "DatasetExportJob": settings.exports_dir,
        "BatchInferenceJob": settings.batch_dir,
        "BatchSegmentJob": settings.batch_dir,
        "DataDeletionJob": settings.deletions_dir,
        # What a compaction that was killed has left.
        "Dataset": settings.imports_dir,
    }
    for one in (resource, *hanging):
        if one.kind in folders:
            shutil.rmtree(folders[one.kind] / one.id, ignore_errors=True)
        if one.kind == "Solution":
            bentos.remove_solution(settings, one.id)
            for branch in ("solution", "update"):
                _repository(settings, one).forget(f"{branch}/{one.id}", f"sv/{one.id}")
        elif one.kind == "Dataset":
            for kind in ("data", "imports"):
                _repository(settings, one).forget(f"{kind}/{one.id}", f"{kind}/{one.id}")
    if resource.kind == "DatasetGroup":
        GroupRepository(settings, resource.id).delete()


def _repository(settings: Settings, resource: Resource) -> GroupRepository:
    assert resource.group_id is not None
    return GroupRepository(settings, resource.group_id)


def _remove_rows(conn: Connection, resource: Resource, hanging: Iterable[Resource]) -> None:
    ids = [resource.id, *(one.id for one in hanging)]
    if resource.kind == "DatasetGroup":
        conn.execute(delete(events).where(events.c.group_id == resource.id))
    elif resource.kind == "Dataset" and resource.doc.get("datasetType") == "INTERACTIONS":
        conn.execute(delete(events).where(events.c.group_id == resource.group_id))
    conn.execute(delete(records).where(records.c.dataset_id.in_(ids)))
    conn.execute(delete(action_events).where(action_events.c.dataset_id.in_(ids)))
    conn.execute(delete(outbox).where(outbox.c.resource_id.in_(ids)))
    conn.execute(delete(resources).where(resources.c.id.in_(ids)))
