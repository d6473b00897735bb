"""`python -m pipelines.platform.supervisor`: the parent of every process of a platform.

It starts them in the order in which they need each other, starts again what dies, bounds their logs and writes down
what it sees for the other commands. When it is told to stop (SIGTERM, SIGINT) it stops them in order. When it is
killed, the kernel stops its children; what is left all the same is ended by the next `up` or `down` (see recovery.py).
One thread, no socket, no dependency on what it supervises.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import time
import uuid
from dataclasses import replace
from importlib.metadata import version
from logging.handlers import RotatingFileHandler
from pathlib import Path

import psutil

from pipelines.platform.child import Child
from pipelines.platform.children import REPORT, STORE, WORK, beside_an_airflow, platform_children
from pipelines.platform.cluster import ClusterError
from pipelines.platform.credentials import ensure_credentials
from pipelines.platform.database import embedded_server, with_database
from pipelines.platform.logfiles import bound_log, prune_task_logs
from pipelines.platform.processes import ProcessIdentity, adopt_orphans, descendants, end, session_remains
from pipelines.platform.recovery import end_leftovers
from pipelines.platform.state import PlatformState, execution_port, locked, state_file, write_state
from pipelines.settings import Settings, SettingsError

log = logging.getLogger(__name__)

LOG_CHECK_SECONDS = 10.0
PRUNE_SECONDS = 3600.0


class Supervisor:
    """The loop over all children."""

    def __init__(self, settings: Settings, children: list[Child], state: PlatformState) -> None:
        self.settings = settings
        self.children = {child.spec.name: child for child in children}
        self._state = state
        self._written: PlatformState | None = None
        self._stopping = False
        self._wakeup, self._wakeup_write = os.pipe()
        self._next_log_check = 0.0
        self._next_prune = time.monotonic() + 60

    def run(self) -> None:
        """Until told to stop."""
        os.set_blocking(self._wakeup, False)
        os.set_blocking(self._wakeup_write, False)
        signal.set_wakeup_fd(self._wakeup_write, warn_on_full_buffer=False)
        for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(sign, self._stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while not self._stopping:
            self._reap()
            if not self._stopping:
                self._start_due()
            self._publish()
            self._bound_logs()
            self._sleep(self._pause())
        self._stop_all()

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _pause(self) -> float:
        """Short while something waits for a child to get ready; deaths and signals wake the loop anyway."""
        waiting = any(child.pid is None and not child.done for child in self.children.values())
        return 0.1 if waiting else 2.0

    def _sleep(self, seconds: float) -> None:
        if select.select([self._wakeup], [], [], seconds)[0]:
            os.read(self._wakeup, 4096)

    # Children ----------------------------------------------------------------------------------------

    def _reap(self) -> bool:
        """Collect every ended process, also orphans that came to us; says whether a child was among them."""
        by_pid = {child.pid: child for child in self.children.values() if child.pid is not None}
        found = False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return found
            if pid == 0:
                return found
            child = by_pid.pop(pid, None)
            if child is None:
                continue
            found = True
            child.ended(status, time.monotonic())
            self._end_remains(child, patience=3.0)

    def _end_remains(self, child: Child, patience: float) -> None:
        """End what a dead child left: its session, and orphans that came to us because their parent died."""
        found = {process.pid: process for process in session_remains(child.identity)} if child.identity else {}
        known = {child.pid for child in self.children.values()}
        for orphan in psutil.Process().children():
            if orphan.pid not in known:
                found.update({process.pid: process for process in (orphan, *descendants(orphan.pid))})
        ended = end(found.values(), patience)
        child.identity = None
        if ended:
            log.info("ended what %s left: %s", child.spec.name, ended)

    def _start_due(self) -> None:
        for child in self.children.values():
            if child.due(time.monotonic()) and all(self.children[name].ready for name in child.spec.needs):
                child.start(time.monotonic())

    def _stop_all(self) -> None:
        log.info("stopping")
        for stage in (WORK, REPORT, STORE):
            self._stop_stage([child for child in self.children.values() if child.spec.stop_stage == stage])
        end(descendants(os.getpid()), patience=2.0)
        state_file(self.settings).unlink(missing_ok=True)
        log.info("stopped")

    def _stop_stage(self, stage: list[Child]) -> None:
        begun = time.monotonic()
        for child in stage:
            child.send_stop()
        while True:
            self._reap()
            self._publish()
            left = [child for child in stage if child.pid is not None]
            if not left:
                return
            for child in left:
                if time.monotonic() - begun > child.spec.stop_patience:
                    log.warning("%s does not stop, killing it", child.spec.name)
                    end(session_remains(child.identity) if child.identity else [], patience=0.1)
            self._sleep(0.2)

    # What others see ---------------------------------------------------------------------------------

    def _publish(self) -> None:
        states = {name: child.state() for name, child in self.children.items()}
        state = replace(self._state, children=states)
        if state != self._written:
            write_state(self.settings, state)
            self._written = state

    def _bound_logs(self) -> None:
        now = time.monotonic()
        if now >= self._next_log_check:
            self._next_log_check = now + LOG_CHECK_SECONDS
            for child in self.children.values():
                bound_log(child.log_path)
        if now >= self._next_prune:
            self._next_prune = now + PRUNE_SECONDS
            prune_task_logs(self.settings.logs_dir / "airflow", time.time())


def build(settings: Settings) -> Supervisor:
    """A supervisor for these settings; makes secrets, folders and the choice of port on the way."""
    marker = uuid.uuid4().hex
    credentials = None if settings.airflow_url else ensure_credentials(settings)
    for folder in (settings.logs_dir, settings.run_dir, settings.airflow_home, settings.bento_home):
        folder.mkdir(parents=True, exist_ok=True)
    server = embedded_server(settings)
    settings = with_database(settings, server)
    ports = {"runtime": settings.runtime_port}
    if credentials is None:
        specs = beside_an_airflow(settings, marker)
    else:
        ports |= {"control": settings.control_port, "execution": execution_port(settings)}
        specs = platform_children(settings, credentials, ports["execution"], server, marker)
    me = ProcessIdentity.of(os.getpid())
    assert me is not None
    state = PlatformState(
        me,
        psutil.boot_time(),
        marker,
        settings.database_url,
        ports,
        settings.airflow_url,
        version=version("openpersonalize"),
    )
    return Supervisor(settings, [Child(spec, settings.logs_dir) for spec in specs], state)


def main() -> int:
    """Supervise until told to stop; 1 when another supervisor already does, or the platform cannot be set up."""
    settings = Settings.from_env()
    settings.logs_dir.mkdir(parents=True, exist_ok=True)
    _log_to(settings.logs_dir / "supervisor.log")
    with locked(settings.run_dir / "supervisor.lock") as mine:
        if not mine:
            log.error("another supervisor runs this platform")
            return 1
        adopt_orphans()
        end_leftovers(settings)
        try:
            supervisor = build(settings)
        except (ClusterError, SettingsError, OSError) as error:
            log.error("%s", error)
            return 1
        supervisor.run()
    return 0


def _log_to(path: Path) -> None:
    handler = RotatingFileHandler(path, maxBytes=5 * 1024**2, backupCount=1)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


if __name__ == "__main__":
    sys.exit(main())
