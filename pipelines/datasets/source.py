"""Where bulk data lies and how it gets here: `s3://` through boto3, `file://` under an allowed root.

A location is a file or a folder. S3 locations are plain prefixes, as in Amazon Personalize: `s3://b/f` takes
the object `f` if there is one, else every object whose key starts with `f`. Gzip is unpacked on arrival.
Every file ends up under one folder with a plain name, so that nothing in a name (`*`, `[`) means anything to
the reader; local files are linked, not copied.
"""

from __future__ import annotations

import gzip
import logging
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from pipelines.datasets.errors import ImportRefused
from pipelines.datasets.s3 import S3Object, S3Store
from pipelines.disk import free_bytes, require_disk
from pipelines.progress import Progress
from pipelines.settings import Settings

log = logging.getLogger(__name__)

# Unlike AWS, limits: neither the size of an import's files nor the number of items and interactions that train is
# limited. Disk and memory are, and an import that does not fit on the disk says so before it begins.
CHUNK = 4 << 20
# Unlike AWS, data: `s3://b/f` is the object `f` if there is one, and only else all that begins so. Who names a file
# means that file.
GZIP_MAGIC = b"\x1f\x8b"
# A bound for the disk check: text rarely packs better than this.
GZIP_RATIO = 8
# First bytes of files that people upload by mistake, with what to do about them.
NOT_DATA = {
    b"PARE": "is an encrypted Parquet file; write it without encryption",
    b"PK\x03\x04": "is a ZIP or Excel file; unpack it, or save it as CSV",
    b"\xff\xfe": "is UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "is UTF-16 text; save it as UTF-8",
    b"BZh": "is packed with bzip2; imports take CSV (plain or gzip) and Parquet",
    b"\xfd7zXZ": "is packed with xz; imports take CSV (plain or gzip) and Parquet",
    b"\x28\xb5\x2f\xfd": "is packed with zstd; imports take CSV (plain or gzip) and Parquet",
}


@dataclass(frozen=True)
class SourceFile:
    """One CSV or Parquet file of an import, on this machine and unpacked."""

    name: str
    """As the user knows it: the S3 URI, or the local path."""
    path: Path
    """Where it can be read."""
    size: int
    """Bytes, unpacked."""


def fetch(settings: Settings, location: str, directory: Path) -> list[SourceFile]:
    """Bring every file of `location` into `directory`, in the order of their names.

    Raises ImportRefused (nothing there, no right to read it, not under an allowed root, not CSV) or
    SourceUnreachable (worth another try).
    """
    directory.mkdir(parents=True, exist_ok=True)
    scheme, _, rest = location.partition("://")
    if scheme == "s3" and rest:
        arrived = _fetch_s3(S3Store(settings.region), location, directory)
    elif scheme == "file" and rest:
        arrived = _link_local(settings, location, directory)
    else:
        raise ImportRefused(
            f"Invalid Data location. {location!r} must start with s3:// or, for a folder on the server, file://"
        )
    return [_readable(name, path) for name, path in arrived]


# S3 ------------------------------------------------------------------------------------------------


def _fetch_s3(store: S3Store, location: str, directory: Path) -> Iterator[tuple[str, Path]]:
    bucket, _, key = location.removeprefix("s3://").partition("/")
    found = [entry for entry in store.find(bucket, key) if not _is_marker(entry)]
    if not found:
        raise ImportRefused(
            f"Invalid Data location. No object lies at {location}: looked in bucket {bucket!r} for the key {key!r} "
            f"and for keys that start with it"
        )
    total = sum(entry.size for entry in found)
    require_disk(directory, total)
    log.info("downloading %d file(s), %s bytes, from %s", len(found), f"{total:,}", location)
    with Progress(f"bytes from {location}", total) as progress:
        for number, entry in enumerate(found):
            path = directory / f"{number:05d}.csv"
            store.download(entry, path, progress.advance)
            yield f"s3://{entry.bucket}/{entry.key}", path


def _is_marker(entry: S3Object) -> bool:
    """Folder objects and what Spark, Athena and macOS leave beside the data (`_SUCCESS`, `.crc`)."""
    name = entry.key.rsplit("/", 1)[-1]
    return not name or (name.startswith(("_", ".")))


# The server's own disk -------------------------------------------------------------------------------


def _link_local(settings: Settings, location: str, directory: Path) -> Iterator[tuple[str, Path]]:
    try:
        found = _local_files(settings, location)
    except PermissionError as error:
        raise ImportRefused(
            f"Invalid Data location. The server may not look into {error.filename}: check its permissions"
        ) from None
    for number, real in enumerate(found):
        link = directory / f"{number:05d}.csv"
        link.unlink(missing_ok=True)
        link.symlink_to(real)
        yield str(real), link


def _local_files(settings: Settings, location: str) -> list[Path]:
    parts = urlsplit(location)
    if parts.netloc not in ("", "localhost"):
        raise ImportRefused(
            f"Invalid Data location. {location!r} names the host {parts.netloc!r}: write file:///absolute/path"
        )
    path = Path(unquote(parts.path))
    if not path.is_absolute():
        raise ImportRefused(f"Invalid Data location. {location!r} must be file:///absolute/path")
    real = _inside(settings, path, location)
    if not real.exists():
        raise ImportRefused(f"Invalid Data location. There is no file or folder {path} on the server")
    if real.is_file():
        return [real]
    files = sorted(entry for entry in real.rglob("*") if entry.is_file() and not _is_hidden(entry.relative_to(real)))
    if not files:
        raise ImportRefused(f"Invalid Data location. The folder {path} on the server holds no file")
    return [_inside(settings, entry, location) for entry in files]


def _is_hidden(path: Path) -> bool:
    """What Spark, editors and macOS leave beside the data, in folders of their own too (`_temporary/`, `__MACOSX/`)."""
    return any(part.startswith(("_", ".")) for part in path.parts)


def _inside(settings: Settings, path: Path, location: str) -> Path:
    """The path without symlinks and `..`; refused unless it lies under a root. Says nothing of what is outside.

    Nor of the platform's own secrets, should the home lie below a root: a failed import quotes the data.
    """
    roots, real = settings.import_roots, Path(os.path.realpath(path))
    secret = real.is_relative_to(settings.secrets_dir.resolve())
    if secret or not any(real.is_relative_to(root.resolve()) for root in roots):
        allowed = ", ".join(map(str, roots)) or "none is set"
        raise ImportRefused(
            f"Invalid Data location. {location!r} leads outside the folders that file:// imports may read "
            f"(OPENPERSONALIZE_IMPORT_ROOTS: {allowed})"
        )
    return real


# What arrived --------------------------------------------------------------------------------------


def _readable(name: str, path: Path) -> SourceFile:
    try:
        packed = _head(name, path).startswith(GZIP_MAGIC)
    except PermissionError:
        raise ImportRefused(f"Invalid Data location. The server may not read {name}: check its permissions") from None
    if packed:
        path = _unpack(name, path)
        if _head(name, path).startswith(GZIP_MAGIC):
            raise ImportRefused(f"{name} is packed twice with gzip; pack it once")
    return SourceFile(name=name, path=path, size=path.stat().st_size)


def _head(name: str, path: Path) -> bytes:
    """The first bytes; raises ImportRefused when they are those of something else than CSV, Parquet or gzip."""
    with path.open("rb") as stream:
        head = stream.read(8)
    for magic, why in NOT_DATA.items():
        if head.startswith(magic):
            raise ImportRefused(f"{name} {why}")
    return head


def _unpack(name: str, path: Path) -> Path:
    target = path.with_suffix(".unpacked.csv")
    packed = path.stat().st_size
    require_disk(target.parent, packed * GZIP_RATIO)
    try:
        with (
            gzip.open(path, "rb") as source,
            target.open("wb") as out,
            Progress(f"bytes unpacked of {name}") as progress,
        ):
            _copy(source, out, progress, allowed=free_bytes(target.parent) // 2, name=name)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ImportRefused(f"{name} is not a whole gzip file: {error}") from None
    path.unlink()
    return target


def _copy(source: IO[bytes] | Any, out: IO[bytes], progress: Progress, allowed: int, name: str) -> None:
    """Copy, but stop before a small file that unpacks to terabytes fills the disk."""
    written = 0
    while chunk := source.read(CHUNK):
        written += len(chunk)
        if written > allowed:
            raise ImportRefused(f"{name} unpacks to more than {allowed:,} bytes, half of the free disk; split it")
        out.write(chunk)
        progress.advance(len(chunk))
    os.fsync(out.fileno())
