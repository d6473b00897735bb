"""Start a platform and wait until it works; stop it. What `openpersonalize up` and `down` do, without the display."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from pipelines.platform import own_airflow
from pipelines.platform.airflow_client import AirflowClient, AirflowUnavailable
from pipelines.platform.airflow_env import POOLS
from pipelines.platform.checks import check_before_start, check_home
from pipelines.platform.child import describe_exit
from pipelines.platform.credentials import ensure_access_key, ensure_credentials
from pipelines.platform.health import ProcessReport, all_healthy, observe
from pipelines.platform.logfiles import log_file, tail
from pipelines.platform.migrations import HOPELESS, forget_upgrades
from pipelines.platform.processes import ProcessIdentity
from pipelines.platform.recovery import end_leftovers
from pipelines.platform.source import source_root
from pipelines.platform.state import PlatformState, locked, running_state
from pipelines.settings import Settings

Progress = Callable[[list[ProcessReport]], None]

POLL_SECONDS = 0.5
STOP_DEADLINE = 90.0
SUPERVISOR_GRACE = 45.0
"""Seconds without a supervisor after which waiting for it makes no sense."""


class DidNotStart(Exception):
    """Not everything got healthy in time; the message names what did not, with the end of its log."""


def start(settings: Settings) -> bool:
    """Start the supervisor unless one runs; says whether it did. Raises CannotStart, DidNotStart."""
    check_home(settings)
    with locked(settings.run_dir / "up.lock") as mine:
        if not mine:
            # Another `up` is at it: what it starts is what we would have started.
            return False
        if running_state(settings) is not None:
            return False
        end_leftovers(settings)
        forget_upgrades(settings)
        check_before_start(settings)
        if settings.airflow_url:
            own_airflow.check_reachable(settings)
            ensure_access_key(settings)
        else:
            ensure_credentials(settings)
        _spawn(settings)
        return True


def _spawn(settings: Settings) -> None:
    """Start the supervisor detached from this terminal, and wait until it has said who it is."""
    log = log_file(settings.logs_dir, "supervisor")
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.platform.supervisor"],
            cwd=source_root(),
            env=os.environ | settings.to_env(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    deadline = time.monotonic() + 60
    while True:
        state = running_state(settings)
        if state is not None and state.supervisor.pid == process.pid:
            return
        code = process.poll()
        if code is not None or time.monotonic() > deadline:
            raise DidNotStart("the supervisor does not start:\n" + "\n".join(tail(log, 5)))
        time.sleep(0.05)


def wait_healthy(settings: Settings, timeout: float, progress: Progress) -> PlatformState:
    """Wait until every process works and the pool is there; raises DidNotStart."""
    deadline = time.monotonic() + timeout
    problem = ""
    reports: list[ProcessReport] = []
    seen = time.monotonic()
    while time.monotonic() < deadline:
        state = running_state(settings)
        if state is None:
            # Another `up` may be clearing away what a killed platform left.
            if time.monotonic() - seen > SUPERVISOR_GRACE:
                raise DidNotStart("the platform was stopped while it started: run `openpersonalize up` again")
            time.sleep(POLL_SECONDS)
            continue
        seen = time.monotonic()
        reports = observe(state)
        progress(reports)
        for report in reports:
            if report.state == "backoff" and report.detail == describe_exit(HOPELESS):
                raise DidNotStart("\n".join(tail(log_file(settings.logs_dir, report.name), 1)))
        if all_healthy(reports):
            try:
                _make_ready(settings)
                return state
            except AirflowUnavailable as error:
                problem = str(error)
        time.sleep(POLL_SECONDS)
    raise DidNotStart(_explain(settings, timeout, reports, problem))


def _make_ready(settings: Settings) -> None:
    """What Airflow needs besides its processes; raises AirflowUnavailable."""
    if settings.airflow_url:
        own_airflow.admit(settings)
        own_airflow.agree(settings)
        return
    for name, slots in POOLS.items():
        AirflowClient(settings).ensure_pool(name, slots)


def _explain(settings: Settings, timeout: float, reports: list[ProcessReport], problem: str) -> str:
    lines = [f"not everything was healthy after {timeout:.0f} s"]
    for report in reports:
        # What waits for something else is not the cause.
        if report.healthy or report.state == "waiting":
            continue
        lines.append(f"{report.name}: {report.state}, {report.restarts} restarts, {report.detail}")
        lines += ["    " + line for line in tail(log_file(settings.logs_dir, report.name), 8)]
    if problem:
        lines.append(problem)
    lines.append("See `openpersonalize status` and `openpersonalize logs NAME`; the platform goes on trying.")
    return "\n".join(lines)


def stop(settings: Settings) -> bool:
    """Stop the platform in order, or end what a killed one left; says whether there was anything. Idempotent."""
    state = running_state(settings)
    if state is not None:
        os.kill(state.supervisor.pid, signal.SIGTERM)
        _wait_gone(state.supervisor)
    left = end_leftovers(settings) if settings.home.exists() else []
    return state is not None or bool(left)


def _wait_gone(supervisor: ProcessIdentity) -> None:
    deadline = time.monotonic() + STOP_DEADLINE
    while supervisor.alive():
        if time.monotonic() > deadline:
            os.kill(supervisor.pid, signal.SIGKILL)
        time.sleep(0.05)
