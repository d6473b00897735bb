"""Every row that was not imported, with file, line, column, value and reason: `rejects.parquet`.

Columns: file (as the user knows it), line (1-based, physical), unit (line, or row: Parquet has no lines), column (schema field, null when the whole row is at
fault), value (its first 200 characters), reason. A row with two wrong values is listed twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.datasets.cells import Cells
from pipelines.datasets.schema import Schema
from pipelines.datasets.values import TOO_LONG_CATEGORY, Fault, text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLE = "rejected"
SHOWN = 200
BATCH = 200_000


@dataclass(frozen=True)
class Sample:
    """One line of rejects.parquet."""

    file: str
    line: int
    column: str | None
    value: str | None
    reason: str
    unit: str = "line"
    """What `line` counts: lines, or, of a Parquet file, rows."""

    @property
    def place(self) -> str:
        """File and line, or row."""
        return f"{self.file} {self.unit} {self.line}"

    def __str__(self) -> str:
        column = f", {self.column}" if self.column else ":" if self.value else ""
        value = f" {self.value!r}" if self.value is not None and column else ""
        return f"{self.place}{column}{value} {self.reason}"


@dataclass(frozen=True)
class Group:
    """All rejects of one column for one reason."""

    column: str | None
    reason: str
    rows: int
    first: Sample


def create(connection: DuckDBPyConnection) -> None:
    """An empty table of rejects."""
    connection.execute(
        f'CREATE OR REPLACE TABLE {TABLE} (file_number INTEGER, file VARCHAR, line BIGINT, unit VARCHAR, rank INTEGER, "column" VARCHAR, '
        f"value VARCHAR, reason VARCHAR)"
    )


def count(connection: DuckDBPyConnection) -> int:
    """Rows rejected, each once."""
    return _one(connection, f"SELECT count(*) FROM (SELECT DISTINCT file, line FROM {TABLE})")


def count_too_long_categories(connection: DuckDBPyConnection) -> int:
    """Values that fail the whole import by themselves."""
    return _one(connection, f"SELECT count(*) FROM {TABLE} WHERE reason = {text(TOO_LONG_CATEGORY)}")


def _one(connection: DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def add_values(
    connection: DuckDBPyConnection, cells: Cells, faults: Sequence[Fault], bad: str, lost: np.ndarray
) -> None:
    """Read the file again, only to say which rows hold the wrong values.

    The reader numbers the rows it made, not lines; `lost` are the 0-based physical lines (header included) of which it
    made none. A row's line is its place among the lines with a row, moved on by the lost ones before it.
    """
    import pyarrow as pa

    found = ", ".join(f"CASE WHEN {fault.condition} THEN {number} END" for number, fault in enumerate(faults))
    values = " ".join(f"WHEN {number} THEN {fault.raw}" for number, fault in enumerate(faults))
    query = (
        f"SELECT place, rank, left(CASE rank {values} END, {SHOWN}) AS value FROM ("
        f"SELECT *, unnest(list_filter([{found}], lambda n: n IS NOT NULL)) AS rank FROM ("
        f"SELECT *, {cells.place} AS place FROM {cells.source}) WHERE {bad})"
    )
    columns, reasons = [fault.field.name for fault in faults], [fault.reason for fault in faults]
    # Behind the header; `gaps[i]` is how many lines with a row come before the i-th lost one.
    gaps = (lost - 1) - np.arange(len(lost))
    # A cursor has temporary tables of its own: the reader's errors of the first reading stay.
    for batch in connection.cursor().sql(query).to_arrow_reader(BATCH):
        place = batch.column("place").cast(pa.int64()).to_numpy(zero_copy_only=False)
        rank = batch.column("rank").to_numpy(zero_copy_only=False)
        lines = place + np.searchsorted(gaps, place, side="right") + cells.first
        rows = pa.table(
            {
                "line": lines,
                "rank": rank,
                "column": pa.array(columns).take(pa.array(rank)),
                "value": batch.column("value"),
                "reason": pa.array(reasons).take(pa.array(rank)),
            }
        )
        _append(connection, cells, rows)


def add_structure(
    connection: DuckDBPyConnection, cells: Cells, lines: np.ndarray, columns: Sequence[str], schema: Schema
) -> None:
    """The records that the reader could not split into cells, one reject each."""
    import pyarrow as pa

    errors = connection.execute(
        "SELECT first(error_type ORDER BY error_type) AS kind, max(column_idx) AS last, min(column_idx) AS column_idx, "
        f"left(first(csv_line ORDER BY error_type), {SHOWN}) AS value FROM reader_errors "
        "GROUP BY line_byte_position ORDER BY line_byte_position"
    ).fetchall()
    reasons, where, values = [], [], []
    for kind, last, index, value in errors:
        reasons.append(_structure_reason(str(kind), int(last or 0), len(columns), int(index or 0)))
        where.append(_column_of(str(kind), index, columns, schema))
        values.append(value)
    rows = pa.table(
        {
            "line": lines + 1,
            "rank": np.full(len(lines), -1, dtype=np.int32),
            "column": pa.array(where, pa.string()),
            "value": pa.array(values, pa.string()),
            "reason": pa.array(reasons, pa.string()),
        }
    )
    _append(connection, cells, rows)


def _structure_reason(kind: str, last: int, expected: int, first: int) -> str:
    if kind == "TOO MANY COLUMNS":
        return f"has {last} values, but the header names {expected} columns: is a comma not quoted?"
    if kind == "MISSING COLUMNS":
        return f"has {first} values, but the header names {expected} columns"
    if kind == "UNQUOTED VALUE":
        return 'has text behind a closing quote: write a quote inside a quoted value as \\" or ""'
    if kind == "LINE SIZE OVER MAXIMUM":
        return "is longer than 2 MiB: is a line end missing?"
    return f"can't be read as CSV ({kind.lower()})"


def _column_of(kind: str, index: Any, columns: Sequence[str], schema: Schema) -> str | None:
    if kind != "UNQUOTED VALUE" or not index or int(index) > len(columns):
        return None
    name = columns[int(index) - 1]
    return schema.names[int(name.removeprefix("raw_"))] if name.startswith("raw_") else None


def _append(connection: DuckDBPyConnection, cells: Cells, rows: Any) -> None:
    connection.register("more", rows)
    connection.execute(
        f'INSERT INTO {TABLE} SELECT {cells.number}, {text(cells.name)}, line, {text(cells.unit)}, rank, "column", value, reason FROM more'
    )
    connection.unregister("more")


def write(connection: DuckDBPyConnection, target: Path) -> None:
    """rejects.parquet, in the order of files and lines."""
    target.parent.mkdir(parents=True, exist_ok=True)
    connection.execute(
        f'COPY (SELECT file, line, unit, "column", value, reason FROM {TABLE} ORDER BY file_number, line, rank) '
        f"TO {text(str(target))} (FORMAT parquet, COMPRESSION zstd)"
    )


def samples(path: Path, limit: int = 100) -> list[Sample]:
    """The first rejects of a rejects.parquet."""
    import pyarrow.parquet as pq

    found: list[Sample] = []
    for batch in pq.ParquetFile(path).iter_batches(limit):
        found += [Sample(**row) for row in batch.to_pylist()]
        if len(found) >= limit:
            break
    return found[:limit]


def as_csv(path: Path) -> Iterator[str]:
    """The lines of a rejects.parquet as CSV, header first."""
    import csv
    import io

    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")
    writer.writerow(file.schema_arrow.names)
    for batch in file.iter_batches():
        yield line.getvalue()
        line.seek(line.truncate(0))
        writer.writerows(row.values() for row in batch.to_pylist())
    yield line.getvalue()


def groups(connection: DuckDBPyConnection, limit: int = 20) -> list[Group]:
    """Rejects by column and reason, the most frequent first."""
    rows = connection.execute(
        f'SELECT "column", reason, count(*) AS n, first([file, line::VARCHAR, value, unit] ORDER BY file_number, line) FROM {TABLE} '
        f'GROUP BY "column", reason ORDER BY n DESC, "column", reason LIMIT {limit}'
    ).fetchall()
    return [
        Group(column, reason, int(n), Sample(first[0], int(first[1]), column, first[2], reason, first[3]))
        for column, reason, n, first in rows
    ]
