"""Ids in the files that the platform writes about its work: logs, reports, rejects. They are overwritten in place.

A log may be open in a process that goes on appending to it, so its bytes are changed where they are and nothing moves. A
Parquet or gzip file is written anew beside itself and takes its own place.
"""

from __future__ import annotations

import gzip
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.deletions.matching import BLACK, Matcher

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK = 4 << 20
PARQUET_MAGIC, GZIP_MAGIC = b"PAR1", b"\x1f\x8b"


@dataclass
class Searched:
    """What was looked through, and what was found."""

    files: int = 0
    size: int = 0
    """Bytes of those files."""
    found: int = 0
    where: list[Path] = field(default_factory=list)
    """Files with something in them."""

    def add(self, path: Path, found: int) -> None:
        self.files += 1
        self.size += path.stat().st_size
        self.found += found
        if found:
            self.where.append(path)


def files_of(folders: Iterable[Path]) -> Iterator[Path]:
    """Plain files below the folders, in the order of their names; links lead elsewhere and are not followed."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield path


def black_out(folders: Iterable[Path], matcher: Matcher) -> Searched:
    """Overwrite every id in the files below the folders."""
    searched = Searched()
    for path in files_of(folders):
        # A log may be cut or a file removed meanwhile by whoever it belongs to.
        with suppress(FileNotFoundError):
            searched.add(path, _black_out(path, matcher))
    return searched


def search(paths: Iterable[Path], matcher: Matcher) -> Searched:
    """Count the ids in files and change nothing."""
    searched = Searched()
    for path in paths:
        with suppress(FileNotFoundError):
            searched.add(path, count(path, matcher))
    return searched


def _black_out(path: Path, matcher: Matcher) -> int:
    head = _head(path)
    if head.startswith(PARQUET_MAGIC):
        return _black_out_parquet(path, matcher)
    if head.startswith(GZIP_MAGIC):
        return _black_out_gzip(path, matcher)
    return _black_out_in_place(path, matcher)


def _black_out_in_place(path: Path, matcher: Matcher) -> int:
    found = 0
    with path.open("r+b") as file:
        # Where it was found, not the whole chunk: a process may be writing the rest.
        for start, end in _spans(file.read, matcher):
            at = file.tell()
            file.seek(start)
            file.write(BLACK * (end - start))
            file.seek(at)
            found += 1
        file.flush()
        os.fsync(file.fileno())
    return found


def _spans(read: Callable[[int], bytes], matcher: Matcher) -> Iterator[tuple[int, int]]:
    """Where ids stand in a stream, read in chunks that overlap by one id and its surroundings."""
    position, rest = 0, b""
    while chunk := read(CHUNK):
        data = rest + chunk
        # What ends in the overlap was seen in the chunk before.
        yield from ((position + s, position + e) for s, e in matcher.find(data) if e > len(rest))
        keep = min(len(data), matcher.longest + 1)
        position += len(data) - keep
        rest = data[len(data) - keep :]


def _black_out_gzip(path: Path, matcher: Matcher) -> int:
    with gzip.open(path, "rb") as file:
        changed, found = matcher.black_out(file.read())
    if found:
        _replace(path, gzip.compress(changed, mtime=0))
    return found


def _black_out_parquet(path: Path, matcher: Matcher) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table, found = pq.read_table(path), 0
    for place, column in enumerate(table.columns):
        if pa.types.is_string(column.type):
            cells, count = _black_cells(column, matcher)
            found += count
            if count:
                table = table.set_column(place, table.schema.field(place), cells)
    if found:
        part = path.with_name(f".{path.name}.part")
        pq.write_table(table, part, compression="zstd")
        part.replace(path)
    return found


def _black_cells(column: pa.ChunkedArray, matcher: Matcher) -> tuple[pa.Array, int]:
    import pyarrow as pa

    cells: list[str | None] = []
    found = 0
    for cell in column.to_pylist():
        # Cell by cell, as an id may lie at the end of one that was cut.
        black, count = matcher.black_out(cell.encode()) if cell else (b"", 0)
        cells.append(black.decode(errors="replace") if count else cell)
        found += count
    return pa.array(cells, pa.string()), found


def _replace(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.replace(path)


# Reading anything ----------------------------------------------------------------------------------


def count(path: Path, matcher: Matcher) -> int:
    """Ids in a file once it is unpacked: in text columns of Parquet, members of archives, else in its bytes."""
    head = _head(path)
    if head.startswith(PARQUET_MAGIC):
        return sum(len(matcher.find(cells)) for cells in _cells(path))
    with path.open("rb") as file:
        found = sum(1 for _ in _spans(file.read, matcher))
    return found + sum(len(matcher.find(data)) for data in _members(path, head))


def _members(path: Path, head: bytes) -> Iterator[bytes]:
    """What an archive packs; members of a tar lie in it as they are."""
    if head.startswith(GZIP_MAGIC):
        with gzip.open(path, "rb") as file:
            yield file.read()
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(name) for name in archive.namelist())


def _cells(path: Path) -> Iterator[bytes]:
    """Text cells, each once a batch, with a zero byte between them."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    texts = [
        one.name for one in file.schema_arrow if pa.types.is_string(one.type) or pa.types.is_large_string(one.type)
    ]
    for batch in file.iter_batches(columns=texts):
        for column in batch.columns:
            yield b"\0".join(cell.encode() for cell in pc.unique(column).to_pylist() if cell)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(8)
