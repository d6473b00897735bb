"""The file of a backup: a plain tar, its first member `manifest.json`, its last `SHA256SUMS`, as `sha256sum` writes it.

Not compressed as a whole: Parquet, Git's packs and the copied rows are, and vectors hardly shrink. Members are written as
they come, their length filled in afterwards, so that nothing has to lie on the disk twice. The last member says that
it is all there: a file without it is no backup.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pipelines.platform.state import locked

MANIFEST, SUMS = "manifest.json", "SHA256SUMS"
_BLOCK = 512
_CHUNK = 1 << 20


class BadArchive(ValueError):
    """The file is no whole backup; the message says what is wrong with it."""


class Writer:
    """Members of an archive that is being written."""

    def __init__(self, out: IO[bytes], made_at: float) -> None:
        self._out = out
        self._made_at = made_at
        self.sums: dict[str, str] = {}

    def add(self, name: str, chunks: Iterable[bytes]) -> int:
        """Write a member; its length in bytes."""
        start, size, digest = self._out.tell(), 0, hashlib.sha256()
        self._out.write(bytes(_BLOCK))
        for chunk in chunks:
            self._out.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        self._out.write(bytes(-size % _BLOCK))
        self._out.seek(start)
        self._out.write(self._header(name, size))
        self._out.seek(0, os.SEEK_END)
        self.sums[name] = digest.hexdigest()
        return size

    def _header(self, name: str, size: int) -> bytes:
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = size, int(self._made_at), 0o600
        # Names are ours and short: one block, whatever the size.
        header = info.tobuf(tarfile.GNU_FORMAT)
        assert len(header) == _BLOCK
        return header

    def finish(self) -> None:
        """The sums, and the end of a tar."""
        lines = "".join(f"{digest}  {name}\n" for name, digest in self.sums.items())
        self.add(SUMS, [lines.encode()])
        self._out.write(bytes(2 * _BLOCK))


@contextmanager
def writing(path: Path, made_at: float) -> Iterator[Writer]:
    """Write `path`, readable by its owner only; it appears, or is replaced, when all is there. Raises OSError."""
    partial = path.with_name(f".{path.name}.partial")
    with locked(path.with_name(f".{path.name}.lock")) as mine:
        if not mine:
            raise FileExistsError(f"another backup is being written to {path}")
        try:
            with os.fdopen(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "w+b") as out:
                writer = Writer(out, made_at)
                yield writer
                writer.finish()
                out.flush()
                os.fsync(out.fileno())
            partial.replace(path)
            _sync(path.parent)
        finally:
            partial.unlink(missing_ok=True)
            path.with_name(f".{path.name}.lock").unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_chunks(stream: IO[bytes]) -> Iterator[bytes]:
    """What is left of a stream, a megabyte at a time."""
    while chunk := stream.read(_CHUNK):
        yield chunk


def members(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Every member's name and content, in their order; raises BadArchive."""
    try:
        with tarfile.open(path, "r:") as archive:
            for info in archive:
                content = archive.extractfile(info)
                if content is None or info.name.startswith("/") or ".." in info.name.split("/"):
                    raise BadArchive(f"{path} holds {info.name!r}, which no backup does")
                yield info.name, content
    except (OSError, tarfile.TarError) as error:
        raise BadArchive(f"{path} cannot be read: {error}") from error


def verify(path: Path, advance: Callable[[int], None]) -> Mapping[str, str]:
    """Read all of it and hold it against its sums; raises BadArchive. `advance` hears of each chunk's bytes."""
    found: dict[str, str] = {}
    said: dict[str, str] | None = None
    for name, content in members(path):
        try:
            if name == SUMS:
                lines = io.TextIOWrapper(content, "utf-8").read().splitlines()
                said = {line[66:]: line[:64] for line in lines}
                continue
            digest = hashlib.sha256()
            for chunk in read_chunks(content):
                digest.update(chunk)
                advance(len(chunk))
        except (tarfile.TarError, UnicodeDecodeError) as error:  # it ends in the middle of a member, or is not text
            raise BadArchive(f"{path} is damaged in {name}: {error}") from error
        found[name] = digest.hexdigest()
    if said is None:
        raise BadArchive(f"{path} ends too early: it is not a whole backup")
    for name in [*said, *found]:
        if said.get(name) != found.get(name):
            raise BadArchive(f"{path} is damaged: {name} is not as it was written")
    return found
