"""CSV files into one typed table, every bad row into the rejects, and not a line lost on the way.

DuckDB splits the files into cells; the rules of pipelines.datasets.values judge the cells. What the reader could
not split it lists itself. Afterwards each file's lines are counted up: rows kept, rows rejected, blank lines
and line breaks inside quoted values must give exactly the physical lines, or the import is refused: an unclosed
quote makes the reader drop rows without a word (notes: measured).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.datasets import rejects
from pipelines.datasets.errors import ImportRefused
from pipelines.datasets.records import Records, walk
from pipelines.datasets.scan import MENDED, Scan
from pipelines.datasets.schema import Schema
from pipelines.datasets.values import any_fault, faults, quoted, raw_name, text, typed
from pipelines.progress import Progress

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)

MEMORY_LIMIT = "2GB"
THREADS = 2
MAX_LINE = 2_097_152
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


def read(connection: DuckDBPyConnection, scans: Sequence[Scan], schema: Schema, target: Path) -> Reading:
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
        raise ImportRefused(f"{_names(scans)} {'has' if len(scans) == 1 else 'have'} a header line but no data rows")
    rejected = rejects.count(connection)
    if kept + rejected != records:
        raise AssertionError(f"{kept} kept + {rejected} rejected rows are not the {records} rows of the files")
    rejects.write(connection, target)
    log.info("%s rows read: %s kept, %s rejected", f"{records:,}", f"{kept:,}", f"{rejected:,}")
    return Reading(records, kept, rejected, rejects.count_too_long_categories(connection), target)


def _names(scans: Sequence[Scan]) -> str:
    return scans[0].name if len(scans) == 1 else f"{scans[0].name} and {len(scans) - 1} more file(s)"


def _columns(scan: Scan, schema: Schema) -> list[str]:
    """What each column of the file is called while reading: raw_<position in the schema>, or skip_<n>."""
    wanted = {name.upper(): position for position, name in enumerate(schema.names)}
    given = [column.upper() for column in scan.header]
    missing = [name for name in schema.names if name.upper() not in given]
    if missing:
        raise ImportRefused(
            f"Input CSV is missing the following columns:[{', '.join(missing)}]. {scan.name} line 1 names "
            f"{', '.join(scan.header)}{_delimiter_hint(scan)}"
        )
    twice = sorted({column for column in given if column in wanted and given.count(column) > 1})
    if twice:
        raise ImportRefused(f"{scan.name} line 1 names column {', '.join(twice)} twice")
    return [raw_name(wanted[column]) if column in wanted else f"skip_{n}" for n, column in enumerate(given)]


def _delimiter_hint(scan: Scan) -> str:
    for delimiter, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if any(delimiter in column for column in scan.header):
            return f": the file seems to be separated by {word}, but must be by commas"
    return ""


def _create_staged(connection: DuckDBPyConnection, schema: Schema) -> None:
    columns = ", ".join(f"{quoted(field.name)} {field.column_type}" for field in schema.fields)
    connection.execute(
        f"CREATE OR REPLACE TABLE {STAGED} ({columns}, {ORDINAL} BIGINT, {BAD} BOOLEAN, {BREAKS} BIGINT, {FILE} INTEGER)"
    )


def _source(scan: Scan, columns: Sequence[str]) -> str:
    struct = ", ".join(f"{text(name)}: 'VARCHAR'" for name in columns)
    return (
        f"read_csv({text(str(scan.path))}, columns = {{{struct}}}, auto_detect = false, header = false, skip = 1, "
        f"delim = ',', quote = '\"', escape = {text(scan.escape)}, max_line_size = {MAX_LINE}, "
        f"store_rejects = true, rejects_table = 'reader_errors', rejects_scan = 'reader_scans', rejects_limit = 0)"
    )


def _read_file(
    connection: DuckDBPyConnection, scan: Scan, columns: Sequence[str], schema: Schema, before: int
) -> tuple[int, int]:
    """Rows of the file, and how many of them are good."""
    found = faults(schema, line_breaks=scan.quotes or _is_mended(scan))
    source = _source(scan, columns)
    # The number of line breaks inside the row's values: each is a physical line without a row of its own.
    breaks = _line_breaks(columns) if scan.quotes else "0"
    connection.execute("DROP TABLE IF EXISTS reader_errors")
    connection.execute("DROP TABLE IF EXISTS reader_scans")
    ordinal = "0" if schema.is_event_log else f"{before} + row_number() OVER ()"
    cells = ", ".join(typed(field, raw_name(position)) for position, field in enumerate(schema.fields))
    connection.execute(
        f"INSERT INTO {STAGED} SELECT {cells}, {ordinal}, {any_fault(schema, found)}, {breaks}, {scan.number} FROM {source}"
    )
    counted = connection.execute(
        f"SELECT count(*), count(*) FILTER ({BAD}), COALESCE(sum({BREAKS}), 0) FROM {STAGED} WHERE {FILE} = {scan.number}"
    ).fetchone()
    accepted, wrong, broken = (int(value) for value in counted or (0, 0, 0))
    refused_lines = _refused_lines(connection, scan)
    extra = _account(scan, accepted + broken, refused_lines)
    if wrong:
        rejects.add_values(connection, scan, source, breaks, found, any_fault(schema, found), extra)
        connection.execute(f"DELETE FROM {STAGED} WHERE {BAD}")
    if len(refused_lines):
        rejects.add_structure(connection, scan, refused_lines, columns, schema)
    return accepted + len(refused_lines), accepted - wrong


def _line_breaks(columns: Sequence[str]) -> str:
    terms = (f"COALESCE(strlen({name}) - strlen(replace({name}, chr(10), '')), 0)" for name in columns)
    return " + ".join(terms)


def _is_mended(scan: Scan) -> bool:
    return scan.path.name.endswith(MENDED)


def _refused_lines(connection: DuckDBPyConnection, scan: Scan) -> np.ndarray:
    """0-based physical first lines, header included, of the records that the reader could not split."""
    rows = connection.execute("SELECT DISTINCT line_byte_position FROM reader_errors ORDER BY 1").fetchnumpy()
    positions = np.asarray(rows["line_byte_position"], dtype=np.int64)
    return lines_at(scan.path, positions)


def lines_at(path: Path, positions: np.ndarray) -> np.ndarray:
    """0-based physical lines in which the bytes at the sorted `positions` lie."""
    lines = np.empty(len(positions), dtype=np.int64)
    if not len(positions):
        return lines
    done = counted = offset = 0
    with path.open("rb") as stream:
        while done < len(positions) and (chunk := stream.read(4 << 20)):
            ends = np.flatnonzero(np.frombuffer(chunk, dtype=np.uint8) == 10) + offset
            until = int(np.searchsorted(positions, offset + len(chunk), side="left"))
            lines[done:until] = counted + np.searchsorted(ends, positions[done:until], side="left")
            done, counted, offset = until, counted + len(ends), offset + len(chunk)
    return lines


def _account(scan: Scan, accepted: int, refused: np.ndarray) -> np.ndarray:
    """Check that every physical line is accounted for; 0-based lines, header included, that hold no accepted row."""
    blank, taken = scan.blank_lines, refused
    if scan.quotes and (len(blank) or len(refused) or accepted != scan.data_lines):
        records = walk(scan.path, scan.escape)
        _check_closed(scan, records)
        blank = np.array(records.blank_lines, dtype=np.int64)
        taken = np.array([n for first in refused.tolist() for n in range(first, first + records.spans.get(first, 1))])
    extra = np.sort(np.concatenate([blank, taken]).astype(np.int64))
    missing = scan.data_lines - accepted - len(extra)
    if missing:
        raise ImportRefused(
            f"{scan.name}: {abs(missing):,} of {scan.data_lines:,} lines could not be accounted for"
            f'{_first(refused)}; look for a quote (") that is not closed, or export the file again'
        )
    return extra


def _first(refused: np.ndarray) -> str:
    return f"; reading went wrong first at line {refused[0] + 1}" if len(refused) else ""


def _check_closed(scan: Scan, records: Records) -> None:
    quote = records.unclosed
    if quote is None:
        return
    until = f"swallowed everything up to line {quote.until}" if quote.until else "swallowed the rest of the file"
    raise ImportRefused(
        f'{scan.name} line {quote.line}: a quote (") is opened and not closed; it {until}. Close it, or write a '
        f'quote inside a quoted value as \\" or ""'
    )
