"""File locks that a dead process cannot keep: the kernel lets go of them with the last process that holds them.

Descriptors are handed down to git and dvc, so a lock also lasts as long as a child that outlived its parent.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.1


@contextmanager
def locked(path: Path, *, shared: bool = False, waiting_for: str = "") -> Iterator[int]:
    """Hold the lock file at `path` (created when absent) and yield its descriptor; waits until it is free.

    `waiting_for` is logged once when somebody else holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        told = False
        while not _take(descriptor, shared):
            if waiting_for and not told:
                log.info("waiting for %s", waiting_for)
                told = True
            time.sleep(_POLL_SECONDS)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def locked_if_free(path: Path) -> Iterator[bool]:
    """Hold the lock at `path` alone and yield True, or yield False at once when anybody holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield _take(descriptor, shared=False)
    finally:
        os.close(descriptor)


def _take(descriptor: int, shared: bool) -> bool:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
