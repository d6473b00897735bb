"""CSV text into cells by DuckDB, and afterwards the account of every physical line.

Rows kept, rows rejected, blank lines and line breaks inside quoted values must give exactly the physical lines, or the
import is refused: an unclosed quote makes the reader drop rows without a word (notes: measured).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.datasets.cells import Cells
from pipelines.datasets.errors import ImportRefused
from pipelines.datasets.records import Records, walk
from pipelines.datasets.scan import MENDED, Scan
from pipelines.datasets.values import text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MAX_LINE = 2_097_152
FIRST_LINES = 1_000


@dataclass(frozen=True)
class Lost:
    """0-based physical lines, header included, of which the reader made no row."""

    refused: np.ndarray
    """First lines of the records that it could not split."""
    all: np.ndarray
    """Those, the further lines they take, and blank ones; sorted."""


def cells(scan: Scan, columns: Sequence[str]) -> Cells:
    """The file's cells; `columns` names them by position."""
    breaks = _line_breaks(columns) if scan.quotes else "0"
    return Cells(
        number=scan.number,
        name=scan.name,
        source=_source(scan, columns),
        place=f"row_number() OVER () - 1 + COALESCE(sum({breaks}) OVER (ROWS UNBOUNDED PRECEDING), 0) - ({breaks})",
        breaks=breaks,
        control="\r\n" if scan.quotes or scan.path.name.endswith(MENDED) else "",
        first=2,
        unit="line",
    )


def _source(scan: Scan, columns: Sequence[str]) -> str:
    struct = ", ".join(f"{text(name)}: 'VARCHAR'" for name in columns)
    return (
        f"read_csv({text(str(scan.path))}, columns = {{{struct}}}, auto_detect = false, header = false, skip = 1, "
        f"delim = ',', quote = '\"', escape = {text(scan.escape)}, max_line_size = {MAX_LINE}, "
        f"store_rejects = true, rejects_table = 'reader_errors', rejects_scan = 'reader_scans', rejects_limit = 0)"
    )


def _line_breaks(columns: Sequence[str]) -> str:
    terms = (f"COALESCE(strlen({name}) - strlen(replace({name}, chr(10), '')), 0)" for name in columns)
    return " + ".join(terms)


def check_first_lines(scan: Scan) -> None:
    """Refuse a file whose header names another number of columns than every row has.

    To the reader each such row is an error that takes a kilobyte of memory, and it stops where all rows are.
    """
    with scan.path.open("rb") as stream:
        stream.readline()
        lines = [line for line in islice(stream, FIRST_LINES) if line.strip()]
    counts = {line.count(b",") + 1 for line in lines}
    if len(lines) < FIRST_LINES or any(b'"' in line for line in lines) or len(scan.header) in counts:
        return
    values = " to ".join(map(str, sorted({min(counts), max(counts)})))
    raise ImportRefused(
        f"{scan.name} line 1 names {len(scan.header)} columns, but each of the first {FIRST_LINES:,} rows has {values} values"
    )


def forget(connection: DuckDBPyConnection) -> None:
    """Clear what the reader told of the file before."""
    connection.execute("DROP TABLE IF EXISTS reader_errors")
    connection.execute("DROP TABLE IF EXISTS reader_scans")


def lost(connection: DuckDBPyConnection, scan: Scan, accepted: int) -> Lost:
    """Lines without a row, when `accepted` lines became rows; raises ImportRefused unless that is all of them."""
    rows = connection.execute("SELECT DISTINCT line_byte_position FROM reader_errors ORDER BY 1").fetchnumpy()
    refused = lines_at(scan.path, np.asarray(rows["line_byte_position"], dtype=np.int64))
    return Lost(refused, _account(scan, accepted, refused))


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
