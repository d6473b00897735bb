"""Refuse a job that would not fit on the disk before it begins, and let what it writes appear whole.

A disk that runs full in the middle of a job takes PostgreSQL and every other job down with it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Never given to a job: what the database, the logs and the running processes need to go on.
RESERVE_BYTES = 512 * 1024**2


class DiskFull(OSError):
    """The disk has too little room for a job; the message says how much is missing and where."""


def free_bytes(path: Path) -> int:
    """Bytes that we may still write on the disk that `path`, which need not exist yet, would lie on."""
    existing = path.absolute()
    while not existing.exists():
        existing = existing.parent
    return shutil.disk_usage(existing).free


def require_disk(path: Path, bytes_needed: int) -> None:
    """Raise DiskFull unless a job that writes `bytes_needed` below `path` leaves RESERVE_BYTES free."""
    free = free_bytes(path)
    if free - RESERVE_BYTES < bytes_needed:
        raise DiskFull(
            f"not enough disk space: this needs {_size(bytes_needed)} below {os.fspath(path)} and leaves "
            f"{_size(RESERVE_BYTES)} untouched, but only {_size(free)} are free. Delete what is not needed there, "
            f"or move OPENPERSONALIZE_HOME to a larger disk"
        )


def _size(count: int) -> str:
    """1234567 -> '1.2 MB', in powers of 1000 as disks are sold."""
    size, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A path beside `target`, not yet made, that takes its place when the block succeeds."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
        new = Path(scratch) / target.name
        yield new
        if target.exists():
            shutil.rmtree(target)
        new.rename(target)
