"""What came one by one (PutEvents, PutItems, PutUsers, PutActions, PutActionInteractions), as tables in a schema's columns.

Rows are numbered in the order of their arrival; a training, an export or an import records the last number, so
that it can be repeated with the same input (`newest_*`). PostgreSQL writes the rows as CSV, Arrow splits them, DuckDB
gives them their types: nothing here is done row by row in Python (a million events: 6 CPU seconds with the server's).

What becomes of a row (spec: datasets.md section 6): a field's value is the property whose key is its name in
lowerCamelCase; TIMESTAMP is sentAt in whole seconds; IMPRESSION the ids that were shown, joined by `|`. A value that
does not fit the field's type, or no longer does since the schema was replaced, is null.

Whose event it is: the user it names, else the one that an event of the same session names (the newest such link up to the
cut-off counts). Trainings leave out sessions that nobody is linked to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg import sql
from sqlalchemy import Connection, text

from pipelines.datasets.schema import ARRIVAL, DatasetType, Field, Schema, property_name, read_schema
from pipelines.datasets.values import quoted

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from pipelines.registry.store import Resource

SCHEMA_KEY = b"openpersonalize.schema"
"""Of the file's metadata: the Avro schema as JSON, which says what the columns mean."""
BATCH_BYTES = 16 << 20
"""Of CSV; a batch is a few times that in memory."""

_OF_EVENTS = {
    "USER_ID": "coalesce(e.user_id, linked.user_id)",
    "ITEM_ID": "e.item_id",
    "TIMESTAMP": "floor(e.sent_at)::bigint",
    "EVENT_TYPE": "e.event_type",
    "EVENT_VALUE": "e.event_value",
    "IMPRESSION": "array_to_string(e.impression, '|')",
    "RECOMMENDATION_ID": "e.recommendation_id",
    "EVENT_ATTRIBUTION_SOURCE": "e.attribution_source",
}
_OF_ACTION_EVENTS = {
    "USER_ID": "coalesce(e.user_id, linked.user_id)",
    "ACTION_ID": "e.action_id",
    "TIMESTAMP": "floor(e.sent_at)::bigint",
    "EVENT_TYPE": "e.event_type",
    "RECOMMENDATION_ID": "e.recommendation_id",
}
# Only sessions with events that name nobody are looked at: often there are few.
_EVENTS = """
    WITH linked AS (
        SELECT DISTINCT ON (session_id) session_id, user_id FROM {table}
        WHERE {owner} AND id <= {cutoff} AND user_id IS NOT NULL AND session_id IN
              (SELECT session_id FROM {table}
               WHERE {owner} AND id > {after} AND id <= {cutoff} AND user_id IS NULL)
        ORDER BY session_id, id DESC
    )
    SELECT {columns} FROM {table} e LEFT JOIN linked ON e.user_id IS NULL AND linked.session_id = e.session_id
    WHERE e.{owner} AND e.id > {after} AND e.id <= {cutoff} AND {wanted} ORDER BY e.id
"""
_RECORDS = """
    SELECT {columns} FROM {table} e WHERE e.{owner} AND e.id <= {cutoff} AND {wanted} ORDER BY e.id
"""
_NEWEST_OF_ITS_ID = """NOT EXISTS (
    SELECT FROM {table} newer WHERE newer.{owner} AND newer.record_id = e.record_id AND newer.id > e.id AND newer.id <= {cutoff})
"""


def newest_event(conn: Connection, group_id: str) -> int:
    """The number of the group's newest event, 0 when there is none: the cut-off of a training that starts now.

    Numbers are given before a commit, so a smaller one can still be on its way. The lock lets those arrive and holds
    new events back until the caller's transaction ends: keep it short. The same holds for the others.
    """
    return _newest(conn, "events", "group_id", group_id)


def newest_record(conn: Connection, dataset_id: str) -> int:
    """The number of the newest streamed item, user or action of a dataset, 0 when there is none."""
    return _newest(conn, "records", "dataset_id", dataset_id)


def _newest(conn: Connection, table: str, column: str, owner: str) -> int:
    conn.execute(text(f"LOCK TABLE openpersonalize.{table} IN SHARE MODE"))
    query = text(f"SELECT coalesce(max(id), 0) FROM openpersonalize.{table} WHERE {column} = :owner")
    return int(conn.execute(query, {"owner": owner}).scalar_one())


def newest(conn: Connection, dataset: Resource) -> int:
    """The number of the newest row that was streamed into a dataset, of whichever type."""
    table, column, owner = _home(dataset)
    return _newest(conn, table, column, owner)


def count(conn: Connection, dataset: Resource, cutoff: int) -> int:
    """Streamed rows up to `cutoff`, those included that `tables` leaves out."""
    query = sql.SQL("SELECT count(*) FROM {table} WHERE {owner} AND id <= {cutoff}").format(**_names(dataset, cutoff))
    driver: Any = conn.connection.driver_connection
    return int(driver.execute(query).fetchone()[0])


def tables(
    conn: Connection, dataset: Resource, schema: Schema, cutoff: int, *, anonymous: bool = False
) -> Iterator[pa.Table]:
    """All streamed rows up to `cutoff` in the schema's columns and types (ids are strings) and ARRIVAL, as they came.

    At least one table comes, maybe without rows. Events without an item have no row. `anonymous`: events of sessions that
    nobody is linked to come too, with the sessionId as USER_ID (exports: nothing that was sent is missing there).
    """
    wanted = _wanted_events(schema, anonymous) if schema.is_event_log else sql.SQL("true")
    yield from _tables(conn, dataset, schema, cutoff, wanted, _user_of_session(schema, anonymous))


def freeze(conn: Connection, dataset: Resource, schema: Schema, cutoff: int, path: Path, after: int = 0) -> int:
    """Write what a training may learn from to a Parquet file, as `tables` gives it; the number of rows.

    Of events those numbered above `after`. Of items and users only the newest record of each id: of streamed records no
    other can count (joining.py).
    """
    if schema.is_event_log:
        found = _tables(conn, dataset, schema, cutoff, _wanted_events(schema, anonymous=False), {}, after)
    else:
        wanted = sql.SQL(_NEWEST_OF_ITS_ID).format(**_names(dataset, cutoff))
        found = _tables(conn, dataset, schema, cutoff, wanted, {})
    return write(found, path, schema)


def write_empty(schema: Schema, path: Path) -> None:
    """What `freeze` writes of a dataset into which nothing was streamed."""
    with _database() as connection:
        write(iter([_typed(connection, schema, b"")]), path, schema)


def schema_of(path: Path, dataset_type: DatasetType) -> Schema:
    """The schema that `freeze` or `write_empty` wrote beside the rows."""
    import pyarrow.parquet as pq

    return read_schema(pq.read_schema(path).metadata[SCHEMA_KEY].decode(), dataset_type)


# What is asked of PostgreSQL ------------------------------------------------------------------------------------


def _home(dataset: Resource) -> tuple[str, str, str]:
    """Table, column and value that the dataset's rows are found by."""
    kind = dataset.doc["datasetType"]
    if kind == "INTERACTIONS":
        assert dataset.group_id is not None
        return "events", "group_id", dataset.group_id
    return ("action_events" if kind == "ACTION_INTERACTIONS" else "records"), "dataset_id", dataset.id


def _names(dataset: Resource, cutoff: int) -> dict[str, sql.Composable]:
    table, column, owner = _home(dataset)
    return {
        "table": sql.Identifier("openpersonalize", table),
        "owner": sql.SQL("{} = {}").format(sql.Identifier(column), sql.Literal(owner)),
        "cutoff": sql.Literal(cutoff),
    }


def _wanted_events(schema: Schema, anonymous: bool) -> sql.SQL:
    has_item = "e.item_id IS NOT NULL" if schema.dataset_type == "INTERACTIONS" else "true"
    has_user = "true" if anonymous else "coalesce(e.user_id, linked.user_id) IS NOT NULL"
    return sql.SQL(f"{has_item} AND {has_user}")


def _user_of_session(schema: Schema, anonymous: bool) -> dict[str, str]:
    return {"USER_ID": "coalesce(e.user_id, linked.user_id, e.session_id)"} if anonymous and schema.is_event_log else {}


def _cell(schema: Schema, field: Field, special: Mapping[str, str]) -> sql.Composable:
    """SQL of a field's value, as text that `_typed` reads."""
    of_type: Mapping[str, str] = {schema.id_columns[0]: "e.record_id"}
    if schema.is_event_log:
        of_type = _OF_EVENTS if schema.dataset_type == "INTERACTIONS" else _OF_ACTION_EVENTS
    source = {**of_type, **special}.get(field.name)
    if source is not None:
        return sql.SQL(source)
    return sql.SQL("e.properties ->> {}").format(sql.Literal(property_name(field.name)))


def _tables(
    conn: Connection,
    dataset: Resource,
    schema: Schema,
    cutoff: int,
    wanted: sql.Composable,
    special: Mapping[str, str],
    after: int = 0,
) -> Iterator[pa.Table]:
    columns = [sql.SQL("e.id"), *(_cell(schema, field, special) for field in schema.fields)]
    query = sql.SQL(_EVENTS if schema.is_event_log else _RECORDS).format(
        **_names(dataset, cutoff), after=sql.Literal(after), columns=sql.SQL(", ").join(columns), wanted=wanted
    )
    statement = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(query)
    with _database() as connection:
        for batch in _batches(conn, statement):
            yield _typed(connection, schema, batch)


def _batches(conn: Connection, statement: sql.Composed) -> Iterator[bytes]:
    """CSV text of whole rows, without header; at least one, maybe empty."""
    driver: Any = conn.connection.driver_connection
    rows: list[bytes] = []
    size = given = 0
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        # libpq gives whole rows only.
        for row in copy:
            rows.append(bytes(row))
            size += len(row)
            if size >= BATCH_BYTES:
                yield b"".join(rows)
                rows, size, given = [], 0, given + 1
    if rows or not given:
        yield b"".join(rows)


# Types -------------------------------------------------------------------------------------------------------------


def _database() -> DuckDBPyConnection:
    import duckdb

    connection = duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False})
    connection.execute("SET enable_progress_bar = false")
    connection.execute("SET threads = 2")
    return connection


def _typed(connection: DuckDBPyConnection, schema: Schema, batch: bytes) -> pa.Table:
    cells = ", ".join(f"{_converted(field)} AS {quoted(field.name)}" for field in schema.fields)
    connection.register("batch", _split(batch, [ARRIVAL, *schema.names]))
    arrival = quoted(ARRIVAL)
    return connection.sql(f"SELECT {cells}, CAST({arrival} AS BIGINT) AS {arrival} FROM batch").to_arrow_table()


def _split(batch: bytes, names: list[str]) -> pa.Table:
    """The cells as strings. An empty cell is null, a quoted empty one an empty string, as PostgreSQL writes them."""
    import pyarrow as pa
    from pyarrow import csv

    if not batch:
        return pa.table({name: pa.array([], pa.string()) for name in names})
    return csv.read_csv(
        pa.BufferReader(batch),
        # One block: a value may be longer than any other block size.
        csv.ReadOptions(column_names=names, block_size=len(batch) + 1, use_threads=False),
        csv.ParseOptions(newlines_in_values=True),
        csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def _converted(field: Field) -> str:
    """SQL of the text `field` in the column's type, null where it does not fit; a fraction is no whole number."""
    raw = quoted(field.name)
    cast = f"TRY_CAST({raw} AS {field.column_type})"
    if field.avro == "string":
        return raw
    if field.avro == "boolean":
        return f"CASE WHEN lower({raw}) IN ('true', 'false') THEN lower({raw}) = 'true' END"
    if field.avro in ("float", "double"):
        return f"CASE WHEN isfinite({cast}) THEN {cast} END"
    return f"CASE WHEN TRY_CAST({raw} AS DOUBLE) % 1 = 0 THEN {cast} END"


def write(found: Iterator[pa.Table], path: Path, schema: Schema) -> int:
    """Write what `tables` gives, and the schema, to a Parquet file; the number of rows."""
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    first = next(found)
    rows = 0
    metadata = {SCHEMA_KEY: json.dumps(schema.avro, sort_keys=True)}
    with pq.ParquetWriter(partial, first.schema.with_metadata(metadata), compression="zstd") as writer:
        table: pa.Table | None = first
        while table is not None:
            writer.write_table(table)
            rows += table.num_rows
            table = next(found, None)
    partial.replace(path)
    return rows
