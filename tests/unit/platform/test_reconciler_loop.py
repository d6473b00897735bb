"""The reconciler as a whole: woken by wishes, one at a time, alive through lost connections and broken resources."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, text

from pipelines.platform import reconciler
from pipelines.platform.reconciler import LEASE, Backoff, Duty, LeaseHeld, lease, run
from pipelines.registry import store, wishes
from pipelines.registry.database import engine
from pipelines.settings import Settings
from tests.support.registry import add_group, add_solution, add_version

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Runs:
    """An Airflow that takes everything."""

    def __init__(self) -> None:
        self.started: list[str] = []

    def trigger(self, dag_id: str, run_id: str, conf: dict[str, Any]) -> None:
        self.started.append(run_id)

    def state(self, dag_id: str, run_id: str) -> str | None:
        return "running"


@contextmanager
def running(settings: Settings, airflow: Runs) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=run, args=(settings, airflow, stop.is_set))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=20)
        assert not thread.is_alive()


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "did not come true"
        time.sleep(0.02)


def wish(conn: Connection, suffix: str) -> str:
    with conn.begin():
        solution = store.get(conn, arn="arn:aws:personalize:us-east-1:123456789012:solution/taste")
        solution = solution or add_solution(conn, add_group(conn))
        return wishes.wish(conn, add_version(conn, solution, suffix, status=store.CREATE_PENDING), "solution_version")


def end_sessions(conn: Connection) -> None:
    """What a restart of the server does to everybody who is connected."""
    with conn.begin():
        conn.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )


def test_a_wish_wakes_it_before_its_next_look(
    conn: Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "POLL_SECONDS", 60.0)
    airflow = Runs()
    first = wish(conn, "00000001")
    with running(settings, airflow):
        until(lambda: airflow.started == [first])
        second = wish(conn, "00000002")
        until(lambda: airflow.started == [first, second])
        monkeypatch.setattr(reconciler, "POLL_SECONDS", 0.1)
        wish(conn, "00000003")


def test_it_goes_on_after_its_connections_were_cut(conn: Connection, settings: Settings) -> None:
    airflow = Runs()
    with running(settings, airflow):
        first = wish(conn, "00000001")
        until(lambda: airflow.started == [first])
        end_sessions(conn)
        second = wish(conn, "00000002")
        # One that was not yet written down as begun is asked for twice: Airflow knows it by its id.
        until(lambda: list(dict.fromkeys(airflow.started)) == [first, second])


def test_only_the_one_that_holds_the_lease_acts(
    conn: Connection, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    database = engine(settings)
    airflow = Runs()
    wish(conn, "00000001")
    with caplog.at_level(logging.INFO), lease(database) as mine:
        with pytest.raises(LeaseHeld), lease(database):
            pass
        with running(settings, airflow):
            until(lambda: "another reconciler acts" in caplog.text)
            assert airflow.started == []
            with mine.begin():
                mine.execute(text("SELECT pg_advisory_unlock(:lease)"), {"lease": LEASE})
            until(lambda: len(airflow.started) == 1)
    database.dispose()


def test_a_lost_connection_loses_the_lease(settings: Settings) -> None:
    database = engine(settings)
    with lease(database):
        pass
    with lease(database):
        pass
    database.dispose()


def test_a_duty_that_breaks_is_told_once_and_waits_longer(conn: Connection, caplog: pytest.LogCaptureFixture) -> None:
    calls = []

    def break_down(_conn: Connection, _now: datetime) -> None:
        calls.append(1)
        raise KeyError("deployment")

    duty = Duty("activating campaigns", break_down)
    with caplog.at_level(logging.INFO):
        for at in (0.0, 0.1, 0.3, 0.4, 0.9):
            duty.run(conn, NOW, at)
    assert len(calls) == 3
    assert sum("deployment" in record.getMessage() for record in caplog.records) == 1


def test_a_failure_is_told_when_it_begins_and_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    backoff = Backoff("starting DAG runs")
    with caplog.at_level(logging.INFO):
        for problem in ("down", "down", "down", None, None):
            backoff.took(0.0, problem)
    assert [record.getMessage() for record in caplog.records] == [
        "starting DAG runs: down; trying again until it works",
        "starting DAG runs: works again",
    ]


def test_as_a_process_it_ends_on_sigterm(conn: Connection, settings: Settings) -> None:
    env = {**os.environ, **settings.to_env()}
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.platform.reconciler"], env=env, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "acting" in line:
            break
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    process.stderr.close()
