"""Copies of files with the names and the epoch seconds that a schema wants; every other byte of a CSV stays.

A CSV file of which only names change gets a new first line, so that line numbers, quotes and even its faults stay as
they are. Moments are written anew by DuckDB; one that cannot be read stays as it is, for the import to reject it by line.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.datasets import parquet
from pipelines.datasets.errors import ImportRefused
from pipelines.datasets.guessing import NANOSECONDS, UNITS, Change
from pipelines.datasets.sampling import csv_header
from pipelines.datasets.source import SourceFile
from pipelines.datasets.values import quoted, text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_UNITS = {**dict(UNITS.values()), NANOSECONDS[0]: NANOSECONDS[1], "fractions of seconds": 1}


def convert(
    connection: DuckDBPyConnection, files: Sequence[SourceFile], changes: Sequence[Change], directory: Path
) -> list[SourceFile]:
    """Copies in `directory`, in the order of the files, which keep their names; raises ImportRefused."""
    connection.execute("SET TimeZone = 'UTC'")
    copies = []
    for number, file in enumerate(files):
        is_parquet = parquet.is_parquet(file.path)
        target = directory / f"{number:05d}{'.parquet' if is_parquet else '.csv'}"
        if is_parquet or any(change.moments for change in changes):
            _write_anew(connection, file, changes, target, is_parquet=is_parquet)
        else:
            _rename(file, changes, target)
        copies.append(SourceFile(file.name, target, target.stat().st_size))
    return copies


def _rename(file: SourceFile, changes: Sequence[Change], target: Path) -> None:
    names = {change.column: change.field for change in changes}
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow([names.get(column, column) for column in csv_header(file)])
    with file.path.open("rb") as source, target.open("wb") as copy:
        source.readline()
        copy.write(line.getvalue().encode())
        shutil.copyfileobj(source, copy, 4 << 20)


def _write_anew(
    connection: DuckDBPyConnection, file: SourceFile, changes: Sequence[Change], target: Path, *, is_parquet: bool
) -> None:
    import duckdb

    path, by_column = text(str(file.path)), {change.column: change for change in changes}
    if is_parquet:
        source, form = f"read_parquet({path})", "FORMAT parquet, COMPRESSION zstd"
        header = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]
    else:
        header = csv_header(file)
        struct = ", ".join(f"{text(column)}: 'VARCHAR'" for column in header)
        source = (
            f"read_csv({path}, columns = {{{struct}}}, auto_detect = false, header = false, skip = 1, delim = ',', "
            f"quote = '\"')"
        )
        form = "FORMAT csv, HEADER"
    cells = ", ".join(_cell(column, by_column.get(column)) for column in header)
    try:
        connection.execute(f"COPY (SELECT {cells} FROM {source}) TO {text(str(target))} ({form})")
    except duckdb.Error as error:
        raise ImportRefused(
            f"{file.name} cannot be copied with epoch seconds: {str(error).splitlines()[0]}. Mend that, or write the "
            f"seconds into the file yourself"
        ) from None


def _cell(column: str, change: Change | None) -> str:
    name = quoted(column)
    if change is None:
        return name
    if not change.moments:
        return f"{name} AS {quoted(change.field)}"
    words = f"trim({name}::VARCHAR)"
    if change.moments == "dates":
        seconds = f"floor(epoch(TRY_CAST({words} AS TIMESTAMPTZ)))::BIGINT"
    else:
        # Whole numbers stay exact; DOUBLE has fewer digits than nanoseconds since 1970.
        unit = _UNITS[change.moments]
        seconds = f"floor(TRY_CAST({words} AS DECIMAL(30, 6)) / {unit})::BIGINT"
    return f"COALESCE({seconds}::VARCHAR, {words}) AS {quoted(change.field)}"
