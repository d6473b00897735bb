"""Bounds for what processes write: their own logs, and the folder in which Airflow keeps a file a task try."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

LOG_BYTES = 10 * 1024**2
"""A process's log is cut at this size; the cut part is kept once, as `<name>.log.1`."""
TASK_LOG_DAYS = 30
TASK_LOG_BYTES = 1024**3
"""All task logs together; the oldest go first."""


def log_file(logs: Path, name: str) -> Path:
    return logs / f"{name}.log"


def bound_log(path: Path, limit: int = LOG_BYTES) -> bool:
    """Copy a log that has grown past `limit` to `.1` and truncate it; says whether it did.

    Truncated rather than renamed: the process has the file open, in append mode, and goes on writing into it. A pipe
    through us would bind the process's life to ours.
    """
    try:
        if path.stat().st_size <= limit:
            return False
    except FileNotFoundError:
        return False
    shutil.copyfile(path, path.with_name(path.name + ".1"))
    with path.open("r+b") as file:
        file.truncate(0)
    return True


def prune_task_logs(folder: Path, now: float, days: float = TASK_LOG_DAYS, limit: int = TASK_LOG_BYTES) -> int:
    """Delete files older than `days` before `now` (epoch seconds), then the oldest until `limit` bytes are left.

    Empty folders go too. Returns the number of files deleted.
    """
    files = []
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and not path.is_symlink():
                found = path.stat()
                files.append((found.st_mtime, found.st_size, path))
    files.sort(key=lambda file: file[0])
    total = sum(size for _, size, _ in files)
    deleted = 0
    for modified, size, path in files:
        if modified >= now - days * 86400 and total <= limit:
            break
        path.unlink(missing_ok=True)
        total -= size
        deleted += 1
    _remove_empty(folder, now)
    return deleted


def _remove_empty(folder: Path, now: float) -> None:
    for path in sorted(folder.rglob("*"), key=lambda path: len(path.parts), reverse=True):
        # A young empty folder is about to get its first file.
        with contextlib.suppress(OSError):
            if path.is_dir() and path.stat().st_mtime < now - 3600:
                path.rmdir()


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a log; empty when there is none. Reads at most its last 256 KiB."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 256 * 1024))
            return file.read().decode(errors="replace").splitlines()[-lines:] if lines > 0 else []
    except FileNotFoundError:
        return []


def follow_log(path: Path) -> Iterator[str]:
    """What is written to a log from now on, for ever; copes with its being truncated."""
    with path.open(errors="replace") as file:
        file.seek(0, 2)
        while True:
            text = file.read()
            if text:
                yield text
                continue
            if path.stat().st_size < file.tell():
                file.seek(0)
            time.sleep(0.2)
