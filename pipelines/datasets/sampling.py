"""The first rows of a file that nobody has described, as text: its columns, and what their values look like."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from pipelines.datasets import parquet
from pipelines.datasets.errors import ImportRefused
from pipelines.datasets.source import SourceFile
from pipelines.datasets.values import quoted, text

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

SAMPLE_ROWS = 20_000
SHOWN_ROWS = 5
MOSTLY = 0.99
DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_WHOLE, _NUMBER = r"[+-]?\d+", r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"


@dataclass(frozen=True)
class Facts:
    """A column's values in the sample."""

    filled: int
    distinct: int
    whole: bool
    number: bool
    boolean: bool
    date: bool
    """As those before, of nearly all values: the others are faults, for the import to reject by line."""
    length: float
    """Characters on average."""
    largest: float
    example: str


def load(connection: DuckDBPyConnection, file: SourceFile) -> list[str]:
    """Make table sample of the first rows as text; the header. Raises ImportRefused for what is no table."""
    import duckdb

    if parquet.is_parquet(file.path):
        source = f"SELECT CAST(COLUMNS(*) AS VARCHAR) FROM read_parquet({text(str(file.path))})"
    else:
        connection.register("given", _read_csv(file))
        source = "FROM given"
    try:
        connection.execute(f"CREATE OR REPLACE TABLE sample AS {source} LIMIT {SAMPLE_ROWS}")
    except duckdb.Error as error:
        raise ImportRefused(f"{file.name} cannot be read as a table: {str(error).splitlines()[0]}") from None
    [(rows,)] = connection.execute("SELECT count(*) FROM sample").fetchall()
    if not rows:
        raise ImportRefused(f"{file.name} has a header but no row that can be read")
    return [row[0] for row in connection.execute("DESCRIBE sample").fetchall()]


def _read_csv(file: SourceFile) -> pa.Table:
    """The first rows that have as many cells as the header; whatever else is wrong with the file, a look must not fail."""
    import pyarrow as pa

    header = csv_header(file)
    with file.path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        lines = csv.reader(islice(stream, SAMPLE_ROWS), strict=False)
        next(lines)
        try:
            rows = [row for row in lines if len(row) == len(header)]
        except csv.Error as error:
            raise ImportRefused(f"{file.name} line {lines.line_num}: {error}") from None
    columns = zip(*rows, strict=True) if rows else [()] * len(header)
    return pa.table({name: pa.array(cells, pa.string()) for name, cells in zip(header, columns, strict=True)})


def csv_header(file: SourceFile) -> list[str]:
    """The columns that the first line of a CSV file names; raises ImportRefused."""
    with file.path.open("rb") as stream:
        line = stream.readline(1 << 20)
    try:
        first = line.decode("utf-8-sig").strip("\r\n")
    except UnicodeDecodeError:
        raise ImportRefused(f"{file.name} line 1 is not UTF-8; save the file as UTF-8") from None
    header = [column.strip() for column in next(csv.reader([first], skipinitialspace=True), [])]
    if len(header) < 2:
        by = next((word for mark, word in DELIMITERS.items() if mark in first), None)
        raise ImportRefused(
            f"{file.name} line 1 names one column only"
            + (f": the file seems to be separated by {by}, but must be by commas" if by else f": {first[:80]!r}")
        )
    twice = sorted({column for column in header if header.count(column) > 1 or not column})
    if twice:
        raise ImportRefused(f"{file.name} line 1 names column {twice[0]!r} twice or has a column without a name")
    if all(re.fullmatch(_NUMBER, column) for column in header):
        raise ImportRefused(f"{file.name} line 1 holds numbers, no names: the first line must name the columns")
    return header


def measure(connection: DuckDBPyConnection, column: str) -> Facts:
    """Of one column of table sample."""
    value = f"trim({quoted(column)})"
    [found] = connection.execute(
        f"SELECT count(*), count(DISTINCT {value}), count(*) FILTER (regexp_full_match({value}, {text(_WHOLE)})), "
        f"count(*) FILTER (regexp_full_match({value}, {text(_NUMBER)})), "
        f"count(*) FILTER (lower({value}) IN ('true', 'false')), count(TRY_CAST({value} AS TIMESTAMP)), "
        f"avg(length({value})), max(abs(TRY_CAST({value} AS DOUBLE))), arg_min({value}, rowid) "
        f"FROM sample WHERE {value} <> ''"
    ).fetchall()
    filled, distinct, whole, number, boolean, date, length, largest, example = found
    enough = max(MOSTLY * filled, 1)
    return Facts(
        filled=filled,
        distinct=distinct,
        # A single fraction makes a column of fractions.
        whole=number >= enough and whole == number,
        number=number >= enough,
        boolean=boolean >= enough,
        date=date >= enough,
        length=length or 0.0,
        largest=largest or 0.0,
        example=example or "",
    )


def first_rows(connection: DuckDBPyConnection) -> list[dict[str, str | None]]:
    """To be shown: a row by column."""
    found = connection.execute(f"SELECT * FROM sample LIMIT {SHOWN_ROWS}")
    names = [column[0] for column in found.description or []]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
