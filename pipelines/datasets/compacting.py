"""Compaction: a dataset's many small parts become few, so that a training reads rows instead of merging files.

Every INCREMENTAL import adds a part and never touches those before it. A job of its own, DAG `dataset_compaction`,
writes the snapshot anew under a tag of its own and makes it the dataset's, unless an import came in between.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from pipelines.datasets import rewriting
from pipelines.datasets.rewriting_lock import alone
from pipelines.datasets.snapshot import Snapshot
from pipelines.disk import require_disk
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.store import Resource
from pipelines.registry.tables import resources
from pipelines.repository.group import GroupRepository
from pipelines.settings import Settings

log = logging.getLogger(__name__)

MAX_PARTS = 16
"""More than these are compacted without being asked: two weeks of daily imports, or most of a day of hourly ones.

Rows of several parts are merged and sorted at every reading, which costs as much as compacting them; weekly trainings
and two-hourly updates read often enough to make that worth it, and one more copy in the remote every two weeks is not
too many."""
# The old snapshot, the new one and what sorting spills, beside its copies in DVC's cache and remote.
DISK_FACTOR = 4


class NothingToCompact(ValueError):
    """A dataset that a person named cannot be compacted; the message says why."""


def due(conn: Connection) -> list[Resource]:
    """Datasets of more than MAX_PARTS parts, oldest first."""
    parts = resources.c.internal["snapshot"]["parts"].as_integer()
    query = select(resources.c.id).where(
        resources.c.kind == "Dataset", resources.c.status == store.ACTIVE, parts > MAX_PARTS
    )
    found = [store.get(conn, id=id) for id in conn.execute(query.order_by(resources.c.created_at)).scalars()]
    return [dataset for dataset in found if dataset is not None]


def compact_due(settings: Settings) -> int:
    """Compact every dataset that needs it; how many were."""
    with transaction(settings) as conn:
        datasets = due(conn)
    log.info("%d dataset(s) of more than %d parts", len(datasets), MAX_PARTS)
    return sum(compact(settings, dataset) for dataset in datasets)


def compact_one(settings: Settings, dataset_arn: str) -> bool:
    """Compact the dataset of that ARN, however few parts it has; raises NothingToCompact."""
    with transaction(settings) as conn:
        dataset = store.get(conn, arn=dataset_arn)
    if dataset is None or dataset.kind != "Dataset":
        raise NothingToCompact(f"There is no dataset {dataset_arn}; ListDatasets shows those there are.")
    if "snapshot" not in dataset.internal:
        raise NothingToCompact(f"{dataset_arn} has no bulk data: no import into it has succeeded.")
    return compact(settings, dataset)


def compact(settings: Settings, dataset: Resource) -> bool:
    """Whether the dataset has a new snapshot of the same rows; False too when it can't have fewer parts, or must wait."""
    with alone(settings, dataset.id) as free:
        tag = _tag(settings, dataset.id) if free else None
        if tag is None:
            log.info("%s is being deleted, rewritten or compacted already: left for the next time", dataset.arn)
            return False
        work = settings.imports_dir / dataset.id
        shutil.rmtree(work, ignore_errors=True)
        try:
            return _compact(settings, dataset, tag, work)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _compact(settings: Settings, dataset: Resource, tag: str, work: Path) -> bool:
    assert dataset.group_id is not None
    repository = GroupRepository(settings, dataset.group_id)
    repository.materialise(tag, "snapshot", work / "old")
    old = Snapshot.open(work / "old")
    old.verify()
    before, after = len(old.manifest.parts), len(rewriting.groups(old))
    if before <= after:
        log.info("%s: its %d part(s) cannot become fewer; records were streamed between them", dataset.arn, before)
        return False
    require_disk(work, DISK_FACTOR * int(old.facts(tag)["bytes"]))
    new_tag = f"{tag}-compacted"
    name = new_tag.rpartition("/")[2]
    new = rewriting.rewrite(old, work / "new", name=name, spill=work / "spill").snapshot
    facts = new.facts(new_tag)
    message = f"Compaction: {new.rows} rows, {before} parts become {after}"
    repository.commit_snapshot(dataset.id, work / "new", new_tag, message)
    log.info("%s: %s", dataset.arn, message)
    return _swap(settings, dataset, tag, facts)


def _tag(settings: Settings, dataset_id: str) -> str | None:
    """The tag of the dataset's snapshot, unless the dataset goes away or loses rows of deleted users just now."""
    with transaction(settings) as conn:
        dataset = store.get(conn, id=dataset_id)
        if dataset is None or dataset.is_deleting or dataset.group_id is None:
            return None
        deletions = store.in_group(conn, dataset.group_id, "DataDeletionJob")
        if any(job.status in store.UNFINISHED for job in deletions):
            return None
        return str(dataset.internal["snapshot"]["tag"])


def _swap(settings: Settings, dataset: Resource, tag: str, facts: dict[str, Any]) -> bool:
    """Make it the dataset's snapshot, if that is still the one that was read."""
    with transaction(settings) as conn:
        now = store.get(conn, id=dataset.id, lock=True)
        if now is None or now.is_deleting or now.internal["snapshot"]["tag"] != tag:
            log.info("%s: an import came in between, whose snapshot stays", dataset.arn)
            return False
        store.update(conn, dataset.id, internal={"snapshot": facts}, touch=False)
        return True
