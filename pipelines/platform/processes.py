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


def end_session_of(leader: ProcessIdentity, patience: float) -> list[int]:
    """End what is left of the session that `leader` led, and everything below it. Returns the pids.

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
    end(found.values(), patience)
    return sorted(found)


def end(processes: Iterable[psutil.Process], patience: float) -> None:
    """SIGTERM, then SIGKILL for what still lives after `patience` seconds."""
    left = list(processes)
    for sign, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(sign)
        _, left = psutil.wait_procs(left, timeout=wait)
        if not left:
            return


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
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                yield process


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None
