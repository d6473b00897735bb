"""Whether there is anything to train from that a version has not seen yet (spec: training.md section 2)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

from pipelines.datasets.snapshot import IMPORTED
from pipelines.registry import store
from pipelines.registry.store import Resource

INTERACTIONS = "INTERACTIONS"
_NEWER_EVENT = text(
    "SELECT EXISTS (SELECT FROM openpersonalize.events WHERE group_id = :group AND id > :cutoff AND item_id IS NOT NULL)"
)


def new_data(conn: Connection, solution: Resource, since: Resource | None) -> bool:
    """Whether interactions were imported or streamed after the inputs of version `since` were frozen.

    None: whether there are any at all. An import counts however few rows it brought; a compaction and a data deletion
    job make a new snapshot too, of no new rows, and do not count.
    """
    frozen: dict[str, Any] = since.internal if since is not None else {}
    cutoff = {"group": solution.group_id, "cutoff": frozen.get("event_cutoff", 0)}
    if conn.execute(_NEWER_EVENT, cutoff).scalar_one():
        return True
    datasets = store.in_group(conn, solution.group_id or "", "Dataset")
    bulk = [d for d in datasets if d.doc["datasetType"] == INTERACTIONS and "snapshot" in d.internal]
    seen = frozen.get("snapshots", {}).get(INTERACTIONS)
    # A dataset of before this was written down has no IMPORTED: there the next import is the first that counts.
    return any(seen is None or dataset.internal.get(IMPORTED) != seen.get(IMPORTED) for dataset in bulk)
