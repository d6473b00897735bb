"""From the table of good rows to the next snapshot: new ids behind the old ones, one more sorted part.

Same rows, same bytes: ids are added in byte order, rows are written in a total order, the Parquet files carry no
time, and row groups have a fixed size.
"""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.datasets.reading import ORDINAL, STAGED
from pipelines.datasets.schema import Schema
from pipelines.datasets.snapshot import Manifest, Part, Snapshot, sha256, total_order, write_manifest
from pipelines.datasets.values import quoted, text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)

ROW_GROUP = 245_760
PARQUET = f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})"


@dataclass(frozen=True)
class Written:
    """What `write` made of the staged rows."""

    snapshot: Snapshot
    part: Path
    rows: int
    """Rows of the new part."""
    duplicates: int
    """Good rows that were left out: equal interactions, or an item's or user's rows before its last one."""


def write(
    connection: DuckDBPyConnection,
    schema: Schema,
    previous: Snapshot | None,
    *,
    incremental: bool,
    name: str,
    directory: Path,
    after: int = 0,
) -> Written:
    """Write the snapshot that follows `previous` into the empty `directory`; `name` names the files that are new.

    `after` as in Part.
    """
    (directory / "parts").mkdir(parents=True)
    (directory / "dictionary").mkdir()
    dictionaries = {column: _dictionary(connection, column, previous, name, directory) for column in schema.id_columns}
    part = directory / "parts" / f"{name}.parquet"
    staged = _scalar(connection, f"SELECT count(*) FROM {STAGED}")
    log.info("sorting and writing %s rows", f"{staged:,}")
    rows = _write_part(connection, schema, part)
    old = _carry_parts(previous, directory) if incremental and previous is not None else ()
    parts = (*old, Part(f"parts/{name}.parquet", rows, sha256(part), after))
    manifest = Manifest(
        schema.dataset_type, schema.avro, _visible(connection, schema, directory, parts), parts, dictionaries
    )
    write_manifest(directory, manifest)
    return Written(Snapshot.open(directory), part, rows, staged - rows)


def _scalar(connection: DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _carry(previous: Snapshot, directory: Path, part: Part) -> None:
    """A file of an earlier snapshot becomes one of this: linked, where the disk allows it."""
    source, target = (previous.directory / part.path).resolve(), directory / part.path
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _carry_parts(previous: Snapshot, directory: Path) -> tuple[Part, ...]:
    for part in previous.manifest.parts:
        _carry(previous, directory, part)
    return previous.manifest.parts


def _dictionary(
    connection: DuckDBPyConnection, column: str, previous: Snapshot | None, name: str, directory: Path
) -> tuple[Part, ...]:
    """Make table dictionary_<column> (id, code) of old and new ids; the segments of the snapshot."""
    table = f"dictionary_{column.lower()}"
    connection.execute(f"CREATE OR REPLACE TABLE {table} (id VARCHAR, code INTEGER)")
    segments = list(previous.manifest.dictionaries.get(column, ())) if previous is not None else []
    size = 0
    for part in segments:
        assert previous is not None
        _carry(previous, directory, part)
        connection.execute(
            f"INSERT INTO {table} SELECT id, file_row_number + {size} "
            f"FROM read_parquet({text(str(directory / part.path))}, file_row_number = true)"
        )
        size += part.rows
    connection.execute(
        f"INSERT INTO {table} SELECT id, {size - 1} + row_number() OVER (ORDER BY id) FROM "
        f"(SELECT DISTINCT {quoted(column)} AS id FROM {STAGED} s WHERE NOT EXISTS (FROM {table} d WHERE d.id = s.{quoted(column)}))"
    )
    new = _scalar(connection, f"SELECT count(*) FROM {table}") - size
    if new:
        path = directory / "dictionary" / f"{column}-{name}.parquet"
        connection.execute(
            f"COPY (SELECT id FROM {table} WHERE code >= {size} ORDER BY code) TO {text(str(path))} {PARQUET}"
        )
        segments.append(Part(f"dictionary/{path.name}", new, sha256(path)))
    return tuple(segments)


def coded(schema: Schema, rows: str, dictionary: str, key: str) -> tuple[str, str]:
    """SQL of the cells of relation `rows`, with codes in place of ids, and of the joins that they need.

    Tables <dictionary>_<column> have the codes, by the column `key` that equals what the rows have.
    """
    ids = schema.id_columns
    cells = (
        f"d{ids.index(name)}.code AS {quoted(name)}" if name in ids else f"{rows}.{quoted(name)}"
        for name in schema.names
    )
    joins = (
        f"JOIN {dictionary}_{name.lower()} d{n} ON d{n}.{key} = {rows}.{quoted(name)}" for n, name in enumerate(ids)
    )
    return ", ".join(cells), " ".join(joins)


def _write_part(connection: DuckDBPyConnection, schema: Schema, part: Path) -> int:
    """Rows written: each distinct interaction once, or the last row of each item or user; ids sort by code."""
    newest = ""
    if not schema.is_event_log:
        newest = f"QUALIFY row_number() OVER (PARTITION BY {quoted(schema.id_columns[0])} ORDER BY {ORDINAL} DESC) = 1"
    cells, joins = coded(schema, "s", "dictionary", "id")
    connection.execute(
        f"COPY (SELECT {cells} FROM (SELECT * FROM {STAGED} {newest}) s {joins} "
        f"ORDER BY {total_order(schema)}) TO {text(str(part))} {PARQUET}"
    )
    if schema.is_event_log:
        drop_equal_neighbours(connection, schema, part)
    return _scalar(connection, f"SELECT count(*) FROM read_parquet({text(str(part))})")


def drop_equal_neighbours(connection: DuckDBPyConnection, schema: Schema, part: Path) -> None:
    """Equal rows stand side by side in a total order; the part is written anew only when there are any."""
    names = ", ".join(quoted(name) for name in schema.names)
    # `before <n>`: with a space, as no field of a schema can be called.
    before = ", ".join(f'lag({quoted(name)}) OVER () AS "before {n}"' for n, name in enumerate(schema.names))
    equal = " AND ".join(f'{quoted(name)} IS NOT DISTINCT FROM "before {n}"' for n, name in enumerate(schema.names))
    source = f"(SELECT {names}, {before} FROM read_parquet({text(str(part))}))"
    if not _scalar(connection, f"SELECT count(*) FROM {source} WHERE {equal}"):
        return
    distinct = part.with_suffix(".distinct")
    connection.execute(f"COPY (SELECT {names} FROM {source} WHERE NOT ({equal})) TO {text(str(distinct))} {PARQUET}")
    distinct.replace(part)


def _visible(connection: DuckDBPyConnection, schema: Schema, directory: Path, parts: tuple[Part, ...]) -> int:
    """Rows of the whole snapshot: all interactions, or one row an item or user."""
    if schema.is_event_log or len(parts) == 1:
        return sum(part.rows for part in parts)
    paths = ", ".join(text(str(directory / part.path)) for part in parts)
    return _scalar(connection, f"SELECT count(DISTINCT {quoted(schema.id_columns[0])}) FROM read_parquet([{paths}])")
