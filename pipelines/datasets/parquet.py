"""Parquet files beside CSV: every value becomes the text that a CSV file would hold, and is judged as that.

So `5` and `5.0` are whole numbers whatever the column's type, and an empty string is null. What has no plain text of
its own (moments, lists, bytes) is refused by column, with what to write instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.datasets.cells import Cells
from pipelines.datasets.errors import ImportRefused
from pipelines.datasets.source import SourceFile
from pipelines.datasets.values import text

MAGIC = b"PAR1"
NUMBERS = frozenset(
    [
        "tinyint",
        "smallint",
        "integer",
        "bigint",
        "hugeint",
        "utinyint",
        "usmallint",
        "uinteger",
        "ubigint",
        "uhugeint",
        "float",
        "double",
        "decimal",
    ]
)
PLAIN = NUMBERS | {"varchar", "boolean", "uuid", "enum", "null"}
ROW = '"file row"'

SECONDS = "write whole seconds since 1970 (int64)"
ADVICE = {
    "date": SECONDS,
    "timestamp": SECONDS,
    "time": "write a number or a string",
    "list": "write one string with the values joined by |",
    "array": "write one string with the values joined by |",
    "blob": "write it as a string (UTF-8)",
}


@dataclass(frozen=True)
class ParquetScan:
    """What one look at a Parquet file told."""

    number: int
    """Place among the files of the import."""
    name: str
    path: Path
    header: tuple[str, ...]
    kinds: tuple[str, ...]
    """Each column's type, in DuckDB's words."""
    rows: int
    size: int


def is_parquet(path: Path) -> bool:
    """Whether the file begins as Parquet does."""
    with path.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def scan(file: SourceFile, number: int = 0) -> ParquetScan:
    """Read names, types and number of rows; raises ImportRefused."""
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file.path) as found:
            names, rows = tuple(found.schema_arrow.names), found.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise _refusal(file.name, error) from None
    with readable(file.name), duckdb.connect() as connection:
        types = connection.sql(f"FROM read_parquet({text(str(file.path))})").types
    return ParquetScan(number, file.name, file.path, names, tuple(kind.id for kind in types), rows, file.size)


@contextmanager
def readable(name: str) -> Iterator[None]:
    """What DuckDB finds wrong with the bytes of a Parquet file becomes ImportRefused; want of memory or disk does not."""
    import duckdb

    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.InterruptException):
        raise
    except duckdb.Error as error:
        if "No space left" in str(error):
            raise
        raise _refusal(name, error) from None


def _refusal(name: str, error: Exception) -> ImportRefused:
    why = str(error).strip().split("\n")[0][:300]
    if "encrypted" in why:
        return ImportRefused(f"{name} is encrypted; write it without encryption")
    return ImportRefused(f"{name} is damaged or not a whole Parquet file: {why}")


def cells(scan: ParquetScan, columns: Sequence[str]) -> Cells:
    """The file's cells; `columns` names them by position. Raises ImportRefused for a type that is none of a cell."""
    # By position, since two columns that are ignored may have one name.
    given = [f"cell_{position}" for position in range(len(columns))]
    wanted = [
        f"{_cell(scan, position)} AS {name}" for position, name in enumerate(columns) if not name.startswith("skip_")
    ]
    table = f"read_parquet({text(str(scan.path))}, file_row_number = true) AS t({', '.join(given)}, {ROW})"
    return Cells(
        number=scan.number,
        name=scan.name,
        source=f"(SELECT {', '.join(wanted)}, {ROW} FROM {table})",
        place=ROW,
        breaks="0",
        control="\r\n\0",
        first=1,
        unit="row",
    )


def _cell(scan: ParquetScan, position: int) -> str:
    kind, cell = scan.kinds[position], f"cell_{position}"
    if kind not in PLAIN:
        word = "timestamp" if kind.startswith("timestamp") else kind
        advice = ADVICE.get(word, "write a number or a string")
        raise ImportRefused(f"{scan.name} column {scan.header[position]} holds values of type {word}: {advice}")
    return f"NULLIF({cell}, '')" if kind == "varchar" else f"CAST({cell} AS VARCHAR)"


def account(scan: ParquetScan, accepted: int) -> np.ndarray:
    """Check that every row came; raises ImportRefused. No row is ever lost, so it gives none."""
    if accepted != scan.rows:
        raise ImportRefused(f"{scan.name} is damaged: {accepted:,} of {scan.rows:,} rows could be read")
    return np.empty(0, dtype=np.int64)
