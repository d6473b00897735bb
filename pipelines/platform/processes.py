"""Processes of ours, known for certain: how they are started, recognised again and ended.

A pid alone can belong to somebody else by now; a pid with its start time cannot. Each child of the supervisor leads a
session of its own, so what it leaves behind when it dies is found by the session's number. Nothing is ever found
by name.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import psutil

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class ProcessIdentity:
    """A process that can be recognised later, by another process."""

    pid: int
    started: float
    """Epoch seconds, to the system's clock tick."""

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """The identity of a living process, None when there is none."""
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                return cls(pid, process.create_time())
        return None

    @classmethod
    def from_json(cls, value: Any) -> ProcessIdentity | None:
        """The inverse of `to_json`; None for anything else."""
        try:
            return cls(int(value["pid"]), float(value["started"]))
        except (TypeError, KeyError, ValueError):
            return None

    def to_json(self) -> dict[str, float | int]:
        return asdict(self)

    def alive(self) -> bool:
        # The boot time behind create_time() may be adjusted by the clock: a second either way is the same process.
        now = ProcessIdentity.of(self.pid)
        return now is not None and abs(now.started - self.started) < 2.0


def session_members(session: int) -> list[psutil.Process]:
    """Living processes of a session, whether its leader still lives or not."""
    return [process for process in _living() if _session(process.pid) == session]


def descendants(pid: int) -> list[psutil.Process]:
    """Living processes below `pid`."""
    with contextlib.suppress(psutil.Error):
        return [p for p in psutil.Process(pid).children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE]
    return []


def session_remains(leader: ProcessIdentity) -> list[psutil.Process]:
    """What is left of the session that `leader` led, and everything below it; never this process.

    While a member lives the kernel gives the number to nobody else; but once all are gone it may, so a living
    process under the leader's pid with another start time means that nothing of ours is left.
    """
    now = ProcessIdentity.of(leader.pid)
    if now is not None and not leader.alive():
        return []
    if _session(os.getpid()) == leader.pid:
        return []
    found = {process.pid: process for process in session_members(leader.pid)}
    for process in list(found.values()):
        found.update({child.pid: child for child in descendants(process.pid)})
    return list(found.values())


def end(processes: Iterable[psutil.Process], patience: float) -> list[int]:
    """SIGTERM, then SIGKILL for what still lives after `patience` seconds. Returns the pids."""
    left = list(processes)
    pids = sorted({process.pid for process in left})
    for sign, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(sign)
        left = wait_gone(left, wait)
        if not left:
            break
    return pids


def wait_gone(processes: Iterable[psutil.Process], timeout: float) -> list[psutil.Process]:
    """Wait until they are dead, at most `timeout` seconds; returns those that are not.

    A dead child of ours stays a zombie: psutil's own wait would take its exit status away from whoever watches it.
    """
    deadline = time.monotonic() + timeout
    left = list(processes)
    while True:
        left = [process for process in left if _lives(process)]
        if not left or time.monotonic() >= deadline:
            return left
        time.sleep(0.02)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def die_with_parent(sign: signal.Signals) -> Callable[[], None] | None:
    """A `preexec_fn` by which the kernel sends `sign` to the child when its parent dies (Linux; elsewhere None).

    The library is opened here, before the fork. `preexec_fn` runs after the change of account, which is as it must
    be: that change would clear the setting.
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def before_exec() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(sign), 0, 0, 0)
        # The parent may have died before the call above.
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return before_exec


def adopt_orphans() -> None:
    """Make this process the parent of orphans below it (Linux), so that it sees them and can end them."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _living() -> Iterator[psutil.Process]:
    return (process for process in psutil.process_iter() if _lives(process))


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None
