"""The users' rows in bulk data: the current snapshots written anew, the older ones that hold them let go."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from pipelines.datasets.rewriting import rewrite
from pipelines.datasets.rewriting_lock import alone
from pipelines.datasets.schema import ID_COLUMNS, USER_ID
from pipelines.datasets.snapshot import Snapshot
from pipelines.deletions import job as jobs
from pipelines.deletions.job import Job
from pipelines.disk import require_disk
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.store import Resource

log = logging.getLogger(__name__)

SNAPSHOT = "snapshot"
DISK_FACTOR = 3
"""A snapshot written anew lies in the work folder, in the cache and in the remote."""

ID_LENGTH = 16

Holds = Callable[[str, str], bool]
"""Whether what DVC tracks at (tag, path) has one of the users (pipelines/deletions/contents.py)."""


def of_users(datasets: list[Resource]) -> list[Resource]:
    """The datasets whose rows are about users and that have bulk data."""
    return [d for d in datasets if USER_ID in ID_COLUMNS[d.doc["datasetType"]] and SNAPSHOT in d.internal]


def sweep(job: Job, holds: Holds) -> int:
    """Let the datasets go on with snapshots without the users; how many datasets had them."""
    with transaction(job.settings) as conn:
        datasets = of_users(store.in_group(conn, job.group.id, "Dataset"))
    return sum(_sweep_alone(job, dataset.id, holds) for dataset in datasets if not dataset.is_deleting)


def _sweep_alone(job: Job, dataset_id: str, holds: Holds) -> bool:
    # A compaction, which changes no rows, has to end first.
    with alone(job.settings, dataset_id, wait=True):
        with transaction(job.settings) as conn:
            dataset = store.get(conn, id=dataset_id)
        return dataset is not None and not dataset.is_deleting and _sweep(job, dataset, holds)


def _sweep(job: Job, dataset: Resource, holds: Holds) -> bool:
    old = str(dataset.internal[SNAPSHOT]["tag"])
    if not holds(old, SNAPSHOT):
        return False
    kind = dataset.doc["datasetType"]
    log.info("%s: writing snapshot %s anew without the users", kind, old)
    require_disk(job.settings.home, DISK_FACTOR * int(job.repository.pointer(old, SNAPSHOT).get("size", 0)))
    before, after = job.scratch("before"), job.scratch("after")
    job.repository.materialise(old, SNAPSHOT, before)
    source = Snapshot.open(before)
    source.verify()
    done = rewrite(source, after, name=job.id, spill=job.scratch("spill"), without_users=job.users())
    tag = _new_tag(job, dataset)
    facts = done.snapshot.facts(tag)
    job.repository.commit_snapshot(dataset.id, after, tag, f"{job.resource.name}: {facts['rows']} rows stay")
    _take_over(job, dataset, old, facts, {f"rows of {kind}": done.removed})
    job.scratch("before")
    return True


def _new_tag(job: Job, dataset: Resource) -> str:
    """Each round has its own: a training may have frozen the one of the round before."""
    tag = f"data/{dataset.id}/{job.id}"
    rounds = [known for known in job.repository.tags(f"data/{dataset.id}") if known.startswith(tag)]
    return f"{tag}.{len(rounds)}" if rounds else tag


def _take_over(job: Job, dataset: Resource, old: str, new: Mapping[str, Any], removed: Mapping[str, int]) -> None:
    """The dataset's snapshot, unless an import has put another in its place: that is for the next round."""
    with transaction(job.settings) as conn:
        row = store.get(conn, id=dataset.id, lock=True)
        if row is None or row.is_deleting or row.internal[SNAPSHOT]["tag"] != old:
            log.info("dataset %s has changed meanwhile: its newest snapshot is looked at next", dataset.name)
            return
        store.update(conn, dataset.id, internal={SNAPSHOT: new})
        jobs.add(conn, job, removed)


def drop_older(job: Job, holds: Holds) -> int:
    """Let go of every other snapshot that has the users; how many there were."""
    repository = job.repository
    with transaction(job.settings) as conn:
        datasets = store.in_group(conn, job.group.id, "Dataset")
        current = {d.internal[SNAPSHOT]["tag"] for d in datasets if SNAPSHOT in d.internal}
    doomed = [tag for tag in repository.tags("data") if tag not in current and holds(tag, SNAPSHOT)]
    if doomed:
        _mark(job, doomed)
        repository.drop(doomed)
    for dataset in datasets:
        repository.release(f"data/{dataset.id}", repository.tags(f"data/{dataset.id}"))
    return len(doomed)


def _mark(job: Job, tags: list[str]) -> None:
    """The jobs that made these snapshots can't be repeated to the same bytes."""
    with transaction(job.settings) as conn:
        mark = jobs.mark(conn, job)
        for tag in tags:
            # What was compacted or swept has a suffix.
            maker = store.get(conn, id=tag.rpartition("/")[2][:ID_LENGTH])
            if maker is not None:
                store.update(conn, maker.id, internal=mark, touch=False)
        jobs.add(conn, job, {"older snapshots": len(tags)})
