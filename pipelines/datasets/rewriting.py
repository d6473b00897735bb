"""A snapshot written anew: few parts instead of many, dictionaries without ids that no row uses, and nobody's rows
whom it must forget.

Rows, their order and who wins for an id are those of the snapshot it is made of. Codes are others. Parts of records that
differ in `Part.after` stay apart: a streamed record may have come between them, newer than one and older than the other.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.datasets.reading import open_database
from pipelines.datasets.schema import USER_ID, Schema
from pipelines.datasets.snapshot import Manifest, Part, Snapshot, sha256, total_order, write_manifest
from pipelines.datasets.values import quoted, text
from pipelines.datasets.writing import PARQUET, coded, drop_equal_neighbours

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# With a space, as no field of a schema can be called; quoted.
NUMBER = '"part number"'
ROWS, REMOVED, NEWEST = "bulk_rows", "removed_users", "newest_rows"


@dataclass(frozen=True)
class Rewritten:
    """What `rewrite` made."""

    snapshot: Snapshot
    removed: int
    """Rows left out, over all parts, because of whose they are."""


def groups(snapshot: Snapshot) -> list[tuple[int, list[Part]]]:
    """The parts, oldest first, that may become one each, with their `after`; a log's rows have no precedence."""
    parts = snapshot.manifest.parts
    if snapshot.schema.is_event_log:
        return [(parts[-1].after, list(parts))] if parts else []
    return [(after, list(same)) for after, same in groupby(parts, key=lambda part: part.after)]


def rewrite(
    snapshot: Snapshot, directory: Path, *, name: str, spill: Path, without_users: Sequence[str] = ()
) -> Rewritten:
    """Write the snapshot's rows into the empty or missing `directory`, without those of `without_users` (USER_ID).

    `name` names the new files; `spill` is scratch, gone afterwards. The same snapshot gives the same bytes.
    """
    (directory / "parts").mkdir(parents=True)
    (directory / "dictionary").mkdir()
    connection = open_database(spill)
    try:
        _load(connection, snapshot)
        removed = _remove(connection, snapshot, without_users)
        dictionaries = {
            column: _dictionary(connection, column, name, directory) for column in snapshot.schema.id_columns
        }
        parts = _parts(connection, snapshot, name, directory)
    finally:
        connection.close()
        shutil.rmtree(spill, ignore_errors=True)
    manifest = snapshot.manifest
    rows = sum(part.rows for part in parts)
    write_manifest(directory, Manifest(manifest.dataset_type, manifest.avro, rows, parts, dictionaries))
    return Rewritten(Snapshot.open(directory), removed)


def _scalar(connection: DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _load(connection: DuckDBPyConnection, snapshot: Snapshot) -> None:
    """View ROWS: the rows of all parts in the schema's columns, with the number of their part; old_<column> (id, code)."""
    schema = snapshot.schema
    # A part from before the schema got more fields lacks them: null.
    typed = ", ".join(f"NULL::{_column_type(schema, f.name)} AS {quoted(f.name)}" for f in schema.fields)
    queries = [f"SELECT {typed}, NULL::INTEGER AS {NUMBER} WHERE false"]
    queries += [
        f"SELECT *, {number} AS {NUMBER} FROM read_parquet({text(str(snapshot.directory / part.path))})"
        for number, part in enumerate(snapshot.manifest.parts)
    ]
    connection.execute(f"CREATE VIEW {ROWS} AS {' UNION ALL BY NAME '.join(queries)}")
    for column in schema.id_columns:
        connection.execute(f"CREATE TABLE old_{column.lower()} AS {snapshot.dictionary(column)}")


def _column_type(schema: Schema, name: str) -> str:
    return "INTEGER" if name in schema.id_columns else next(f.column_type for f in schema.fields if f.name == name)


def _remove(connection: DuckDBPyConnection, snapshot: Snapshot, users: Iterable[str]) -> int:
    """Make kept: the rows that go on; the number of those that don't because of their user."""
    import pyarrow as pa

    schema, query, removed = snapshot.schema, f"FROM {ROWS}", 0
    if USER_ID in schema.id_columns:
        connection.register("given_users", pa.table({"id": pa.array(users, pa.string())}))
        connection.execute(
            f"CREATE TABLE {REMOVED} AS SELECT code FROM old_user_id WHERE id IN (SELECT id FROM given_users)"
        )
        gone = f"{quoted(USER_ID)} IN (SELECT code FROM {REMOVED})"
        if _scalar(connection, f"SELECT count(*) FROM {REMOVED}"):
            removed = _scalar(connection, f"SELECT count(*) FROM {ROWS} WHERE {gone}")
            query = f"FROM {ROWS} WHERE NOT ({gone})"
    if not schema.is_event_log and len(snapshot.manifest.parts) > 1:
        key = quoted(schema.id_columns[0])
        connection.execute(f"CREATE TABLE {NEWEST} AS SELECT {key}, max({NUMBER}) AS {NUMBER} {query} GROUP BY {key}")
        query = f"FROM {ROWS} SEMI JOIN {NEWEST} USING ({key}, {NUMBER})"
    # Records are read once for each part that is written, a log's millions of rows for one only.
    connection.execute(f"CREATE {'VIEW' if schema.is_event_log else 'TABLE'} kept AS {query}")
    return removed


def _dictionary(connection: DuckDBPyConnection, column: str, name: str, directory: Path) -> tuple[Part, ...]:
    """Make table new_<column> (old, code): what each old code becomes; the one segment, if there are rows."""
    table = column.lower()
    connection.execute(
        f"CREATE TABLE new_{table} AS SELECT code AS old, (row_number() OVER (ORDER BY id) - 1)::INTEGER AS code, id "
        f"FROM old_{table} SEMI JOIN (SELECT DISTINCT {quoted(column)} AS code FROM kept) USING (code)"
    )
    size = _scalar(connection, f"SELECT count(*) FROM new_{table}")
    if not size:
        return ()
    path = directory / "dictionary" / f"{column}-{name}.parquet"
    connection.execute(f"COPY (SELECT id FROM new_{table} ORDER BY code) TO {text(str(path))} {PARQUET}")
    return (Part(f"dictionary/{path.name}", size, sha256(path)),)


def _parts(connection: DuckDBPyConnection, snapshot: Snapshot, name: str, directory: Path) -> tuple[Part, ...]:
    """One part for each group that still has rows."""
    parts: list[Part] = []
    first = 0
    for number, (after, old) in enumerate(groups(snapshot)):
        path = directory / "parts" / f"{name}-{number}.parquet"
        rows = _write(connection, snapshot.schema, range(first, first + len(old)), path)
        first += len(old)
        if rows:
            parts.append(Part(f"parts/{path.name}", rows, sha256(path), after))
        else:
            path.unlink()
    return tuple(parts)


def _write(connection: DuckDBPyConnection, schema: Schema, numbers: range, path: Path) -> int:
    """Rows of the parts with these numbers, encoded anew and sorted, into `path`; how many are written."""
    cells, joins = coded(schema, "k", "new", "old")
    connection.execute(
        f"COPY (SELECT {cells} FROM kept k {joins} "
        f"WHERE k.{NUMBER} BETWEEN {numbers.start} AND {numbers.stop - 1} "
        f"ORDER BY {total_order(schema)}) TO {text(str(path))} {PARQUET}"
    )
    if schema.is_event_log and len(numbers) > 1:
        drop_equal_neighbours(connection, schema, path)
    return _scalar(connection, f"SELECT count(*) FROM read_parquet({text(str(path))})")
