"""One supervised process: started, watched, started again after a growing wait."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from pipelines.platform.children import ChildSpec
from pipelines.platform.cluster import ClusterError
from pipelines.platform.logfiles import log_file
from pipelines.platform.postgres import PostgresError
from pipelines.platform.processes import ProcessIdentity, die_with_parent
from pipelines.platform.source import source_root
from pipelines.platform.state import ChildState

log = logging.getLogger(__name__)

FIRST_WAIT = 0.5
"""Seconds before the first restart; each further failure doubles it up to the child's limit."""
HEALTHY_AFTER = 60.0
"""A child that ran that long has recovered: its next failure waits FIRST_WAIT again."""


class Child:
    """A ChildSpec with its current process. Times are readings of a monotonic clock, in seconds."""

    def __init__(self, spec: ChildSpec, logs: Path) -> None:
        self.spec = spec
        self.log_path = log_file(logs, spec.name)
        self.identity: ProcessIdentity | None = None
        self.done = False
        self.restarts = 0
        self.last_exit = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._failures = 0
        self._started_at = 0.0
        self._start_again_at = 0.0
        self._starts = 0
        self._told_to_stop = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def ready(self) -> bool:
        """Whether children that need this one may start."""
        if self.spec.once:
            return self.done
        return self._process is not None and (self.spec.ready is None or self.spec.ready())

    def due(self, now: float) -> bool:
        """Whether it should be started now, if what it needs is ready."""
        return self._process is None and not self.done and now >= self._start_again_at

    def start(self, now: float) -> None:
        """Start it; a failure to do so counts as its immediate end."""
        self._starts += 1
        self.restarts = self._starts - 1
        try:
            if self.spec.prepare is not None:
                self.spec.prepare()
            self._process = self._spawn()
        except (OSError, subprocess.SubprocessError, PostgresError, ClusterError) as error:
            log.error("%s does not start: %s", self.spec.name, error)
            self.last_exit = f"did not start: {error}"
            self._wait_longer(now)
            return
        self._started_at = now
        self.identity = ProcessIdentity.of(self._process.pid) or ProcessIdentity(self._process.pid, 0.0)
        log.info("%s started, pid %d", self.spec.name, self._process.pid)

    def _spawn(self) -> subprocess.Popen[bytes]:
        options: dict[str, Any] = {"cwd": str(source_root()), **self.spec.popen_options}
        # Append mode: the log can be truncated under the process.
        with self.log_path.open("ab") as out:
            return subprocess.Popen(
                self.spec.command,
                env=dict(self.spec.env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=die_with_parent(self.spec.stop_signal),
                **options,
            )

    def ended(self, status: int, now: float) -> None:
        """Take note that its process ended with a wait status."""
        assert self._process is not None
        code = os.waitstatus_to_exitcode(status)
        self._process.returncode = code
        self._process = None
        if self.spec.once and code == 0:
            self.done = True
            return
        self.last_exit = describe_exit(code)
        if self._told_to_stop:
            log.info("%s stopped: %s", self.spec.name, self.last_exit)
            return
        if now - self._started_at >= HEALTHY_AFTER:
            self._failures = 0
        self._wait_longer(now)
        log.warning("%s ended: %s; next start in %.1f s", self.spec.name, self.last_exit, self._start_again_at - now)

    def _wait_longer(self, now: float) -> None:
        self._start_again_at = now + min(self.spec.backoff_limit, FIRST_WAIT * 2**self._failures)
        self._failures += 1

    def send_stop(self) -> None:
        """Tell it to stop; it is not started again."""
        self._told_to_stop = True
        if self._process is not None:
            os.kill(self._process.pid, self.spec.stop_signal)

    def state(self) -> ChildState:
        if self._process is not None:
            word = "running"
        elif self.done:
            word = "done"
        else:
            word = "backoff" if self._failures else "waiting"
        return ChildState(self.spec.name, word, self.identity, self.restarts, self.last_exit)


def describe_exit(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
