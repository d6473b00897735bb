"""Numbers of items as they are now: of each item's newest record, whether an import or PutItems brought it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from pipelines.datasets import streamed
from pipelines.datasets.joining import joined
from pipelines.datasets.schema import ITEM_ID, read_schema
from pipelines.datasets.snapshot import Snapshot, write_empty
from pipelines.registry import store
from pipelines.repository.cached import link_cached
from pipelines.repository.group import GroupRepository
from pipelines.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

_EVERYTHING = (1 << 63) - 1


def item_values(settings: Settings, conn: Connection, group_id: str, columns: Sequence[str], work: Path) -> pa.Table:
    """ITEM_ID, then the `columns` as doubles; null in all rows for a column that the dataset does not have (any more).

    A snapshot is linked or checked out below `work`. Raises RepositoryError.
    """
    import pyarrow as pa

    dataset = next(
        (one for one in store.in_group(conn, group_id, "Dataset") if one.doc["datasetType"] == "ITEMS"), None
    )
    avro = store.get(conn, id=dataset.schema_id) if dataset is not None and dataset.schema_id is not None else None
    if dataset is None or avro is None:
        return pa.table({ITEM_ID: pa.array([], pa.string()), **{name: pa.array([], pa.float64()) for name in columns}})
    schema = read_schema(avro.doc["schema"], "ITEMS")
    there = [name for name in columns if name in schema.names]
    put = pa.concat_tables(streamed.tables(conn, dataset, schema, _EVERYTHING))
    found = joined(_snapshot(settings, dataset, work / "items"), put, [ITEM_ID, *there])
    values = {name: _doubles(found[name]) if name in there else pa.nulls(len(found), pa.float64()) for name in columns}
    return pa.table({ITEM_ID: found[ITEM_ID], **values})


def _doubles(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A float of 32 bits becomes the decimal that it was read from: 9.99, not 9.989999771."""
    import pyarrow as pa

    return column.cast(pa.string()).cast(pa.float64()) if column.type == pa.float32() else column.cast(pa.float64())


def _snapshot(settings: Settings, dataset: store.Resource, directory: Path) -> Snapshot:
    facts = dataset.internal.get("snapshot")
    if facts is None:
        write_empty(directory, "ITEMS")
        return Snapshot.open(directory)
    assert dataset.group_id is not None
    repository = GroupRepository(settings, dataset.group_id)
    if not link_cached(repository, facts["tag"], "snapshot", directory):
        repository.materialise(facts["tag"], "snapshot", directory)
    return Snapshot.open(directory)
