"""End what a supervisor that was killed left behind, so that the next one starts on clean ground.

The kernel already told its children to stop, but that may take them long, and their own children may have outlived
them. What is ours is known by the recorded sessions, by the marker in the environment, and for PostgreSQL by the
data folder; nothing is taken for ours by its name.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator

import psutil

from pipelines.platform.database import embedded_server
from pipelines.platform.processes import end, session_remains
from pipelines.platform.state import MARKER_VARIABLE, PlatformState, read_state, state_file
from pipelines.settings import Settings

log = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds a leftover gets to stop by itself before it is killed."""


def end_leftovers(settings: Settings) -> list[int]:
    """End every process of an earlier run of this platform whose supervisor is dead. Returns the ended pids.

    Call it only while no supervisor of this platform lives.
    """
    state = read_state(settings)
    ended: list[int] = []
    if state is not None:
        ended += _end_sessions(state)
    if (settings.home / "postgres").exists() and not settings.database_url:
        server = embedded_server(settings)
        if server is not None:
            ended += server.end_leftovers()
    state_file(settings).unlink(missing_ok=True)
    if ended:
        log.info("ended what the last run left: %s", ended)
    return ended


def _end_sessions(state: PlatformState) -> list[int]:
    """Everything but PostgreSQL, all at once: the few seconds are given once."""
    found = {process.pid: process for process in _marked(state.marker)}
    for name, child in state.children.items():
        if name != "postgres" and child.identity is not None:
            found.update({process.pid: process for process in session_remains(child.identity)})
    return end(found.values(), PATIENCE)


def _marked(marker: str) -> Iterator[psutil.Process]:
    """Living processes whose environment carries the marker, but not this one and those that started it."""
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid not in ours and process.environ().get(MARKER_VARIABLE) == marker:
                yield process
