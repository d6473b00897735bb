"""CSV and Parquet files into one typed table, every bad row into the rejects, and not a row lost on the way.

DuckDB splits the files into cells (pipelines.datasets.splitting, .parquet); the rules of pipelines.datasets.values
judge the cells, whatever file they come from. Rows kept and rows rejected are all rows of the files, or the import is
refused.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.datasets import parquet, rejects, splitting
from pipelines.datasets.cells import Cells
from pipelines.datasets.errors import ImportRefused
from pipelines.datasets.parquet import ParquetScan
from pipelines.datasets.scan import Scan
from pipelines.datasets.schema import Schema
from pipelines.datasets.splitting import Lost
from pipelines.datasets.values import any_fault, faults, quoted, raw_name, typed
from pipelines.progress import Progress

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)

MEMORY_LIMIT = "2GB"
THREADS = 2
STAGED = "staged"
"""The good rows, typed, in the columns of the schema, and ORDINAL."""
# With a space, as no field of a schema can be called; quoted.
ORDINAL, BAD, BREAKS, FILE = '"row number"', '"is bad"', '"line breaks"', '"file number"'
"""Beside the columns: place in the files' order (the later of two records with one id is the newer), whether the row is
wrong (never, once the file is read), line breaks inside its values, number of its file."""


@dataclass(frozen=True)
class Reading:
    """What came of reading all files."""

    records: int
    """Data rows in the files; always kept + rejected."""
    kept: int
    rejected: int
    too_long_categories: int
    """Rejected values of the kind that fails the whole import."""
    rejects: Path
    """rejects.parquet, see pipelines.datasets.rejects."""


def open_database(directory: Path) -> DuckDBPyConnection:
    """DuckDB within fixed memory, spilling to `directory`, quiet, and never on the network."""
    import duckdb

    directory.mkdir(parents=True, exist_ok=True)
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY_LIMIT,
        "threads": THREADS,
        "temp_directory": str(directory / "spill"),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    connection = duckdb.connect(config=settings)
    connection.execute("SET enable_progress_bar = false")
    return connection


def read(connection: DuckDBPyConnection, scans: Sequence[Scan | ParquetScan], schema: Schema, target: Path) -> Reading:
    """Fill table STAGED from the files and write the rejects to `target`; raises ImportRefused."""
    columns = [_columns(scan, schema) for scan in scans]
    _create_staged(connection, schema)
    rejects.create(connection)
    records = kept = 0
    with Progress("rows", None) as progress:
        for scan, names in zip(scans, columns, strict=True):
            in_file, good = _read_file(connection, scan, names, schema, records)
            records += in_file
            kept += good
            progress.advance(in_file)
    if records == 0:
        raise ImportRefused(f"{_names(scans)} {'has' if len(scans) == 1 else 'have'} {_no_rows(scans)}")
    rejected = rejects.count(connection)
    if kept + rejected != records:
        raise AssertionError(f"{kept} kept + {rejected} rejected rows are not the {records} rows of the files")
    rejects.write(connection, target)
    log.info("%s rows read: %s kept, %s rejected", f"{records:,}", f"{kept:,}", f"{rejected:,}")
    return Reading(records, kept, rejected, rejects.count_too_long_categories(connection), target)


def _names(scans: Sequence[Scan | ParquetScan]) -> str:
    return scans[0].name if len(scans) == 1 else f"{scans[0].name} and {len(scans) - 1} more file(s)"


def _no_rows(scans: Sequence[Scan | ParquetScan]) -> str:
    return "a header line but no data rows" if any(isinstance(scan, Scan) for scan in scans) else "no rows"


def _columns(scan: Scan | ParquetScan, schema: Schema) -> list[str]:
    """What each column of the file is called while reading: raw_<position in the schema>, or skip_<n>."""
    wanted = {name.upper(): position for position, name in enumerate(schema.names)}
    given = [column.upper() for column in scan.header]
    missing = [name for name in schema.names if name.upper() not in given]
    if missing:
        raise ImportRefused(
            f"Input CSV is missing the following columns:[{', '.join(missing)}]. {_names_columns(scan)} "
            f"{', '.join(scan.header)}{_delimiter_hint(scan)}"
        )
    twice = sorted({column for column in given if column in wanted and given.count(column) > 1})
    if twice:
        raise ImportRefused(f"{_names_columns(scan)} column {', '.join(twice)} twice")
    return [raw_name(wanted[column]) if column in wanted else f"skip_{n}" for n, column in enumerate(given)]


def _names_columns(scan: Scan | ParquetScan) -> str:
    return f"{scan.name} names" if isinstance(scan, ParquetScan) else f"{scan.name} line 1 names"


def _delimiter_hint(scan: Scan | ParquetScan) -> str:
    for delimiter, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if any(delimiter in column for column in scan.header):
            return f": the file seems to be separated by {word}, but must be by commas"
    return ""


def _create_staged(connection: DuckDBPyConnection, schema: Schema) -> None:
    columns = ", ".join(f"{quoted(field.name)} {field.column_type}" for field in schema.fields)
    connection.execute(
        f"CREATE OR REPLACE TABLE {STAGED} ({columns}, {ORDINAL} BIGINT, {BAD} BOOLEAN, {BREAKS} BIGINT, {FILE} INTEGER)"
    )


def _cells(scan: Scan | ParquetScan, columns: Sequence[str]) -> Cells:
    if isinstance(scan, ParquetScan):
        return parquet.cells(scan, columns)
    splitting.check_first_lines(scan)
    return splitting.cells(scan, columns)


def _read_file(
    connection: DuckDBPyConnection, scan: Scan | ParquetScan, columns: Sequence[str], schema: Schema, before: int
) -> tuple[int, int]:
    """Rows of the file, and how many of them are good."""
    cells = _cells(scan, columns)
    found = faults(schema, control=cells.control)
    with parquet.readable(scan.name) if isinstance(scan, ParquetScan) else nullcontext():
        accepted, wrong, broken = _stage(connection, cells, schema, any_fault(schema, found), before)
    lost = _lost(connection, scan, accepted + broken)
    if wrong:
        rejects.add_values(connection, cells, found, any_fault(schema, found), lost.all)
        connection.execute(f"DELETE FROM {STAGED} WHERE {BAD}")
    if len(lost.refused):
        rejects.add_structure(connection, cells, lost.refused, columns, schema)
    return accepted + len(lost.refused), accepted - wrong


def _stage(connection: DuckDBPyConnection, cells: Cells, schema: Schema, bad: str, before: int) -> tuple[int, int, int]:
    """Add the file's rows to STAGED; how many came, how many of those are wrong, line breaks inside all their values."""
    splitting.forget(connection)
    ordinal = "0" if schema.is_event_log else f"{before} + row_number() OVER ()"
    columns = ", ".join(typed(schema, field, raw_name(position)) for position, field in enumerate(schema.fields))
    connection.execute(
        f"INSERT INTO {STAGED} SELECT {columns}, {ordinal}, {bad}, {cells.breaks}, {cells.number} FROM {cells.source}"
    )
    [(accepted, wrong, broken)] = connection.execute(
        f"SELECT count(*), count(*) FILTER ({BAD}), COALESCE(sum({BREAKS}), 0) FROM {STAGED} WHERE {FILE} = {cells.number}"
    ).fetchall()
    return int(accepted), int(wrong), int(broken)


def _lost(connection: DuckDBPyConnection, scan: Scan | ParquetScan, accepted: int) -> Lost:
    if isinstance(scan, ParquetScan):
        return Lost(np.empty(0, dtype=np.int64), parquet.account(scan, accepted))
    return splitting.lost(connection, scan, accepted)
