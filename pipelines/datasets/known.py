"""The ids that a group's Items, Users and Actions datasets hold: what events are held against."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from pipelines.datasets.schema import ID_COLUMNS, Schema
from pipelines.datasets.snapshot import Snapshot
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.tables import records
from pipelines.repository.group import GroupRepository
from pipelines.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa


def known_ids(settings: Settings, group_id: str, schema: Schema, scratch: Path) -> Mapping[str, pa.Array]:
    """By id column of an event log's schema: every id that was imported or streamed, each once.

    A column is left out when the group has no dataset of that type, or one that is still empty. Snapshots are
    checked out below `scratch`.
    """
    with transaction(settings) as conn:
        datasets = {d.doc["datasetType"]: d for d in store.in_group(conn, group_id, "Dataset") if not d.is_deleting}
    found = {}
    for kind in ("ITEMS", "USERS", "ACTIONS"):
        [column] = ID_COLUMNS[kind]
        if column in schema.id_columns and kind in datasets:
            ids = _ids(settings, group_id, datasets[kind], column, scratch / kind.lower())
            if len(ids):
                found[column] = ids
    return found


def _ids(settings: Settings, group_id: str, dataset: store.Resource, column: str, directory: Path) -> pa.Array:
    import pyarrow as pa

    streamed = pa.array(_streamed(settings, dataset.id), pa.string())
    current = dataset.internal.get("snapshot")
    if current is None:
        return streamed
    GroupRepository(settings, group_id).materialise(current["tag"], "snapshot", directory)
    snapshot = Snapshot.open(directory)
    # The dictionary may hold ids that no row has any more.
    imported = snapshot.ids(column).take(snapshot.table([column]).column(column).combine_chunks())
    return pa.concat_arrays([imported, streamed]).unique()


def _streamed(settings: Settings, dataset_id: str) -> list[str]:
    with transaction(settings) as conn:
        query = select(records.c.record_id).where(records.c.dataset_id == dataset_id).distinct()
        return list(conn.execute(query).scalars())
