"""Items that are known only through the users who go: AWS says that they disappear from recommendations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, text

from pipelines.datasets.schema import ITEM_ID
from pipelines.deletions.job import Job
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.store import Resource
from pipelines.serving.scrubbing import only_theirs

_STREAMED = text(
    """
    SELECT item_id FROM openpersonalize.events WHERE group_id = :group_id AND item_id = ANY(:items)
    UNION SELECT record_id FROM openpersonalize.records WHERE dataset_id = ANY(:datasets) AND record_id = ANY(:items)
    """
)


def only_through_them(job: Job, artefact: Path, users: Sequence[str]) -> list[str]:
    """Items of the artefact that are in no history but these users', and in no dataset now that they are gone from it."""
    candidates = set(only_theirs(artefact, users))
    if not candidates:
        return []
    with transaction(job.settings) as conn:
        datasets = [d for d in store.in_group(conn, job.group.id, "Dataset") if d.doc["datasetType"] in _WITH_ITEMS]
        candidates -= _streamed(conn, job, datasets, candidates)
    for dataset in datasets:
        if candidates and dataset.internal.get("snapshot", {"rows": 0})["rows"]:
            candidates -= _imported(job, dataset)
    return sorted(candidates)


_WITH_ITEMS = ("INTERACTIONS", "ITEMS")


def _streamed(conn: Connection, job: Job, datasets: list[Resource], items: set[str]) -> set[str]:
    given = {"group_id": job.group.id, "datasets": [d.id for d in datasets], "items": sorted(items)}
    return set(conn.execute(_STREAMED, given).scalars())


def _imported(job: Job, dataset: Resource) -> set[str]:
    """Read off the dictionary: no rows are fetched."""
    import pyarrow.parquet as pq

    place = job.scratch("items")
    job.repository.materialise(dataset.internal["snapshot"]["tag"], "snapshot", place, only=["dictionary"])
    files = (place / "dictionary").glob(f"{ITEM_ID}-*.parquet")
    return {item for file in files for item in pq.read_table(file, columns=["id"]).column("id").to_pylist()}
