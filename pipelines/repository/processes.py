"""Run git and dvc as children whose output becomes log lines, and leave none of them behind."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pipelines.repository.environment import JOB_VARIABLE
from pipelines.repository.errors import CommandFailed

log = logging.getLogger(__name__)

OnLine = Callable[[str], None]
_KEPT_LINES = 200


def stream(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    on_line: OnLine = log.info,
    descriptors: Sequence[int] = (),
) -> list[str]:
    """Run `command`, hand each line of its output to `on_line`, and return the last 200 lines.

    Whatever interrupts the caller (a task's deadline, SIGTERM) ends the command and its children too.
    Raises CommandFailed with the last lines.
    """
    kept: deque[str] = deque(maxlen=_KEPT_LINES)
    child = subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        pass_fds=tuple(descriptors),
    )
    try:
        assert child.stdout is not None
        for line in child.stdout:
            text = line.rstrip()
            if text:
                kept.append(text)
                on_line(text)
        returncode = child.wait()
    except BaseException:
        _end_group(child)
        raise
    if returncode != 0:
        raise CommandFailed(command, returncode, kept)
    return list(kept)


def capture(command: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdin: bytes = b"") -> bytes:
    """Standard output of a short `command`; raises CommandFailed with what it wrote to standard error."""
    done = subprocess.run(command, cwd=cwd, env=dict(env), input=stdin, capture_output=True, check=False)
    if done.returncode != 0:
        raise CommandFailed(command, done.returncode, done.stderr.decode(errors="replace").splitlines())
    return done.stdout


def _end_group(child: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def end_leftovers(job: str) -> int:
    """Kill the processes that a killed attempt of `job` left running; returns how many.

    They are known by their environment: a recorded pid may by now be somebody else's.
    """
    import psutil

    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(JOB_VARIABLE) == job:
                process.kill()
                found.append(process)
    psutil.wait_procs(found, timeout=10)
    if found:
        log.info("ended %d processes that an earlier attempt of this job left running", len(found))
    return len(found)
