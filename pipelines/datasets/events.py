"""The streamed interactions that a training takes in, frozen up to one event.

Events are numbered in the order in which they were committed; a training records the last number and reads
no further, however long it runs, so it can be repeated with the same input.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

if TYPE_CHECKING:
    import pyarrow as pa

FILE = "events.parquet"
COLUMNS = ("USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE", "EVENT_VALUE")
BATCH = 100_000

# The user of an event is the one it names, else the one whom a later event of the same session names: the newest
# such link up to the cut-off counts. Events of sessions that nobody is linked to, and events without an item, teach
# nothing (spec: datasets.md section 6).
_EVENTS = text(
    """
    WITH linked AS (
        SELECT DISTINCT ON (session_id) session_id, user_id
        FROM openpersonalize.events
        WHERE group_id = :group_id AND id <= :cutoff AND user_id IS NOT NULL
        ORDER BY session_id, id DESC
    )
    SELECT coalesce(e.user_id, linked.user_id) AS user_id, e.item_id, floor(e.sent_at)::bigint AS sent_at,
           e.event_type, e.event_value
    FROM openpersonalize.events e LEFT JOIN linked ON linked.session_id = e.session_id
    WHERE e.group_id = :group_id AND e.id <= :cutoff AND e.item_id IS NOT NULL
      AND coalesce(e.user_id, linked.user_id) IS NOT NULL
    ORDER BY e.id
    """
)


def freeze(conn: Connection, group_id: str, cutoff_id: int, schema_columns: Collection[str], directory: Path) -> int:
    """Write `events.parquet` with the group's events up to `cutoff_id` in their order; the number of rows.

    Columns USER_ID, ITEM_ID (strings), TIMESTAMP (epoch seconds), EVENT_TYPE (string) and EVENT_VALUE (double, null
    if none). `schema_columns` are those of the Interactions schema: an EVENT_TYPE or EVENT_VALUE that it lacks is null.
    """
    import pyarrow.parquet as pq

    directory.mkdir(parents=True, exist_ok=True)
    partial = directory / f"{FILE}.part"
    rows = 0
    with pq.ParquetWriter(partial, _schema(), compression="zstd") as writer:
        for batch in _batches(conn, group_id, cutoff_id):
            table = _table(batch, schema_columns)
            writer.write_table(table, row_group_size=BATCH)
            rows += table.num_rows
    partial.replace(directory / FILE)
    return rows


def _schema() -> pa.Schema:
    import pyarrow as pa

    types = (pa.string(), pa.string(), pa.int64(), pa.string(), pa.float64())
    return pa.schema(list(zip(COLUMNS, types, strict=True)))


def _batches(conn: Connection, group_id: str, cutoff_id: int) -> Iterator[Sequence[Any]]:
    found = conn.execution_options(stream_results=True, yield_per=BATCH).execute(
        _EVENTS, {"group_id": group_id, "cutoff": cutoff_id}
    )
    yield from found.partitions(BATCH)


def _table(batch: Sequence[Any], schema_columns: Collection[str]) -> pa.Table:
    import pyarrow as pa

    cells = zip(*batch, strict=True) if batch else ((),) * len(COLUMNS)
    columns = {
        name: [None] * len(batch) if name.startswith("EVENT_") and name not in schema_columns else list(values)
        for name, values in zip(COLUMNS, cells, strict=True)
    }
    return pa.table(columns, schema=_schema())
