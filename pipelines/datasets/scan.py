"""One look at every byte of a CSV file before it is parsed: what no CSV reader tells reliably.

Counts the physical lines (so that afterwards not one can be missing), finds the first byte that isn't UTF-8,
learns how the file writes quotes inside quotes, and reads its header. A file with a byte order mark or other
line ends than `\\n` is copied without them: readers get mixed ones wrong, and report byte positions that are off.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np

from pipelines.datasets import parquet
from pipelines.datasets.errors import ImportRefused
from pipelines.datasets.parquet import ParquetScan
from pipelines.datasets.records import walk
from pipelines.datasets.source import SourceFile
from pipelines.disk import require_disk
from pipelines.progress import Progress

# Unlike AWS, data: headers may be quoted, in any case and order, columns that the schema lacks are ignored, and
# Parquet and gzip are taken. What can be read one way only need not be refused.
MENDED = ".lines.csv"
CHUNK = 4 << 20
LINE_FEED = 10
BOM = b"\xef\xbb\xbf"
SHOWN = 60
ESCAPED_QUOTE = re.compile(rb'[^"]\\"')
# What a lone carriage return becomes: whitespace that is neither a line end for the reader nor allowed in an id.
LONE_CR = b"\x0b"


@dataclass(frozen=True)
class Scan:
    """What one look at a CSV file told."""

    number: int
    """Place among the files of the import."""
    name: str
    path: Path
    lines: int
    """Physical lines, header included; a last line without a line end counts."""
    header: tuple[str, ...]
    quotes: bool
    """Any `"` behind the header."""
    escape: str
    """How a quote inside a quoted value is written: `"` (doubled) or a backslash (as AWS documents)."""
    blank_lines: np.ndarray
    """0-based physical lines that hold nothing; unreliable when `quotes`, see pipelines.datasets.records."""
    size: int

    @property
    def data_lines(self) -> int:
        """Physical lines behind the header."""
        return max(self.lines - 1, 0)


@dataclass
class _Counts:
    lines: int = 0
    returns: int = 0
    quotes: bool = False
    escaped: bool = False
    blank: bool = False
    mark: bool = False


def scan_all(files: Sequence[SourceFile], work: Path) -> list[Scan | ParquetScan]:
    """Look at every file; `work` takes the copies of those whose line ends are mended."""
    with Progress("bytes checked", sum(file.size for file in files)) as progress:
        return [
            parquet.scan(file, number) if parquet.is_parquet(file.path) else scan(file, work, progress, number)
            for number, file in enumerate(files)
        ]


def scan(file: SourceFile, work: Path, progress: Progress, number: int = 0) -> Scan:
    """Look at every byte once; raises ImportRefused naming file and line."""
    if file.size == 0:
        raise ImportRefused(f"{file.name} is empty: it needs a header line and rows")
    counts = _count(file, progress)
    path = file.path
    if counts.returns or counts.mark:
        path = _with_plain_line_ends(path, work, only_returns=counts.lines == 0)
        counts = _count(replace(file, path=path, size=path.stat().st_size), progress=None)
    with path.open("rb") as stream:
        stream.seek(-1, 2)
        unterminated = stream.read(1) != b"\n"
    return Scan(
        number=number,
        name=file.name,
        path=path,
        lines=counts.lines + unterminated,
        header=_header(file.name, path),
        quotes=counts.quotes,
        escape=_escape(counts, path),
        blank_lines=_blank_lines(path) if counts.blank else np.empty(0, dtype=np.int64),
        size=path.stat().st_size,
    )


def _escape(counts: _Counts, path: Path) -> str:
    """Backslash only where it makes sense of the file: `"C:\\dir\\"` has an escaped quote, or a backslash at its end."""
    if not counts.escaped:
        return '"'
    ways = {style: walk(path, style) for style in ("\\", '"')}
    return min(ways, key=lambda style: (ways[style].unclosed is not None, ways[style].malformed))


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk


def _count(file: SourceFile, progress: Progress | None) -> _Counts:
    counts = _Counts()
    decoder = codecs.getincrementaldecoder("utf-8")()
    tail = b""
    read = 0
    for chunk in _chunks(file.path):
        counts.mark = counts.mark or (read == 0 and chunk.startswith(BOM))
        _check_text(file, chunk, decoder, counts)
        seen = tail + chunk
        _count_line_ends(counts, seen, len(tail))
        # Quoted headers alone don't make a file with quotes.
        text = chunk if read else chunk[chunk.find(b"\n") + 1 :]
        if b'"' in text:
            _look_at_quotes(counts, seen if read else text)
        tail = chunk[-2:]
        read += len(chunk)
        if progress is not None:
            progress.advance(len(chunk))
    if decoder.getstate()[0]:
        raise ImportRefused(
            f"{file.name} line {counts.lines + 1} ends in the middle of a UTF-8 character; save it as UTF-8"
        )
    if read != file.size:
        raise ImportRefused(
            f"{file.name} changed while it was read ({file.size:,} bytes became {read:,}); import it again"
        )
    return counts


def _count_line_ends(counts: _Counts, seen: bytes, known: int) -> None:
    """Of `seen` the first `known` bytes were counted before. Searching for pairs in bytes takes twice as long."""
    ends = np.frombuffer(seen, dtype=np.uint8) == LINE_FEED
    counts.lines += int(np.count_nonzero(ends[known:]))
    counts.blank = counts.blank or bool((ends[1:] & ends[:-1]).any())
    if b"\r" in seen:
        counts.returns += seen.count(b"\r", known)
        counts.blank = counts.blank or b"\n\r" in seen


def _look_at_quotes(counts: _Counts, seen: bytes) -> None:
    counts.quotes = True
    counts.escaped = counts.escaped or ESCAPED_QUOTE.search(seen) is not None


def _check_text(file: SourceFile, chunk: bytes, decoder: codecs.IncrementalDecoder, before: _Counts) -> None:
    """Refuse bytes that aren't UTF-8 and NULs, naming the line."""
    if b"\0" in chunk:
        line, _ = _line_of(chunk, chunk.index(b"\0"), before)
        raise ImportRefused(f"{file.name} line {line} holds a NUL byte: it is not a text file, or not UTF-8")
    pending = decoder.getstate()[0]
    if not pending and chunk.isascii():
        return
    try:
        decoder.decode(chunk)
    except UnicodeDecodeError as error:
        data = error.object
        line, start = _line_of(data, error.start, before)
        shown = data[max(start, error.start - SHOWN) : error.start + 12]
        text = re.split(rb"[\r\n]", shown)[0].decode("utf-8", "backslashreplace")
        raise ImportRefused(
            f"{file.name} line {line}, byte {error.start - start + 1}: not UTF-8 ({text!r}); save the file as UTF-8"
        ) from None


def _line_of(data: bytes, at: int, before: _Counts) -> tuple[int, int]:
    """The 1-based line in which a byte lies, and where that line begins; an old Mac's file has carriage returns only."""
    if before.lines or b"\n" in data:
        lines, end = before.lines, b"\n"
    else:
        lines, end = before.returns, b"\r"
    return lines + data[:at].count(end) + 1, data.rfind(end, 0, at) + 1


def _with_plain_line_ends(path: Path, work: Path, *, only_returns: bool) -> Path:
    target = work / f"{path.stem}{MENDED}"
    require_disk(work, path.stat().st_size)
    with target.open("wb") as out:
        carry = b""
        for number, chunk in enumerate(_chunks(path)):
            data = carry + (chunk if number else chunk.removeprefix(BOM))
            # A carriage return at the end of a chunk may belong to a line feed that comes next.
            carry = b"\r" if data.endswith(b"\r") else b""
            out.write(_plain(data[: len(data) - len(carry)], only_returns))
        out.write(_plain(carry, only_returns))
    return target


def _plain(data: bytes, only_returns: bool) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n" if only_returns else LONE_CR)


def _blank_lines(path: Path) -> np.ndarray:
    with path.open("rb") as stream:
        blank = [number for number, line in enumerate(stream) if line == b"\n"]
    return np.array(blank, dtype=np.int64)


def _header(name: str, path: Path) -> tuple[str, ...]:
    with path.open("rb") as stream:
        line = _first_line(name, stream)
    text = line.decode("utf-8").strip("\n")
    if not text.strip():
        raise ImportRefused(f"{name} line 1 is empty: the first line must name the columns")
    return tuple(column.strip().strip('"').strip() for column in next(csv.reader([text], skipinitialspace=True)))


def _first_line(name: str, stream: IO[bytes]) -> bytes:
    line = stream.readline(1 << 20)
    if len(line) == 1 << 20 and not line.endswith(b"\n"):
        raise ImportRefused(f"{name} line 1 is longer than a megabyte: is it a CSV file?")
    return line
