"""Whether there are items that a version does not know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, text

from pipelines.datasets.snapshot import IMPORTED
from pipelines.registry import store
from pipelines.registry.store import Resource

_NEWER_RECORD = text("SELECT EXISTS (SELECT FROM openpersonalize.records WHERE dataset_id = :dataset AND id > :cutoff)")


def items_dataset(conn: Connection, group_id: str) -> Resource | None:
    """The group's Items dataset, if it has one."""
    datasets = store.in_group(conn, group_id, "Dataset")
    return next((one for one in datasets if one.doc["datasetType"] == "ITEMS" and not one.is_deleting), None)


def new_items(conn: Connection, group_id: str, seen: Mapping[str, Any]) -> bool:
    """Whether items were imported or put after these inputs were frozen."""
    items = items_dataset(conn, group_id)
    if items is None:
        return False
    cutoff = seen.get("record_cutoffs", {}).get("ITEMS", 0)
    if conn.execute(_NEWER_RECORD, {"dataset": items.id, "cutoff": cutoff}).scalar_one():
        return True
    return bool(items.internal.get(IMPORTED) != seen.get("snapshots", {}).get("ITEMS", {}).get(IMPORTED))
