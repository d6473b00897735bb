"""`python -m pipelines.platform.reconciler`: makes true what the registry says, whatever crashed in between.

Wishes become DAG runs, runs without a result become failures, campaigns turn ACTIVE, deletes end. Every step reads
what there is to do from the database and can be repeated, so the process may be killed at any moment. Two of them
may run: the one that holds the lease acts, on the connection that holds it, and the other waits.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from types import FrameType
from typing import Protocol

import psycopg
from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from pipelines.platform import questions, runs, upkeep
from pipelines.platform.activation import activate_campaigns
from pipelines.platform.airflow_client import AirflowClient
from pipelines.platform.questions import settle_questions
from pipelines.platform.recommenders import advance_recommenders
from pipelines.platform.removal import remove_deleted
from pipelines.platform.runs import settle_runs, start_runs
from pipelines.platform.splitting import start_experiments
from pipelines.platform.stopping import end_stopped
from pipelines.platform.unavailable import end_unavailable
from pipelines.platform.upkeep import (
    collect_repositories,
    discard_artefacts,
    discard_work,
    forget_runs,
    prune_rows,
    turn_partitions,
)
from pipelines.registry.database import NOTIFY_CHANNEL, engine
from pipelines.settings import Settings

log = logging.getLogger("openpersonalize.reconciler")

LEASE = 5_318_008_019
"""Any number of its own, the same in every process: who acts holds this advisory lock."""
POLL_SECONDS = 0.25
LOOK_SECONDS = 1.0
"""Between two looks at runs that live."""
ASK_SECONDS = 3.0
"""Between two looks at what waits for a person."""
PRUNE_SECONDS = 60.0
COLLECT_SECONDS = 3600.0
LONGEST_WAIT = 10.0


class Airflow(runs.Airflow, questions.Airflow, upkeep.Airflow, Protocol):
    """What the duties need of pipelines.platform.airflow_client."""


class LeaseHeld(RuntimeError):
    """Another reconciler acts."""


@dataclass
class Backoff:
    """Waits longer from failure to failure and tells once when something begins or ceases to fail."""

    what: str
    wait: float = 0.0
    not_before: float = 0.0
    problem: str | None = field(default=None)

    def ready(self, at: float) -> bool:
        return at >= self.not_before

    def took(self, at: float, problem: str | None) -> None:
        """Note how an attempt at monotonic second `at` went."""
        if problem is not None and self.problem is None:
            log.warning("%s: %s; trying again until it works", self.what, problem)
        if problem is None and self.problem is not None:
            log.info("%s: works again", self.what)
        self.problem = problem
        self.wait = min(max(2 * self.wait, POLL_SECONDS), LONGEST_WAIT) if problem else 0.0
        self.not_before = at + self.wait


@dataclass
class Duty:
    """One thing to do again and again; it waits longer while it fails, without holding up the others."""

    what: str
    do: Callable[[Connection, datetime], str | None]
    """Does all there is to do; what kept it from doing so, or None."""
    every: float = 0.0
    """Seconds from one time to the next."""
    due: float = 0.0
    backoff: Backoff = field(init=False)

    def __post_init__(self) -> None:
        self.backoff = Backoff(self.what)

    def run(self, conn: Connection, now: datetime, at: float) -> None:
        """Do it if it is due; `at` is the monotonic second."""
        if at < self.due or not self.backoff.ready(at):
            return
        try:
            problem = self.do(conn, now)
        except (SQLAlchemyError, psycopg.Error):
            # The connection, and with it the lease, may be gone.
            raise
        except Exception as error:  # one resource that breaks a duty must not end the others
            problem = f"{type(error).__name__}: {error}"
            if self.backoff.problem is None:
                log.exception("%s", self.what)
        self.backoff.took(at, problem)
        self.due = at + self.every


def duties(settings: Settings, airflow: Airflow, at: float) -> list[Duty]:
    """Everything that the reconciler does, in the order in which it is done."""

    def quietly(do: Callable[[Connection, datetime], object]) -> Callable[[Connection, datetime], str | None]:
        def done(conn: Connection, now: datetime) -> None:
            do(conn, now)

        return done

    return [
        Duty("starting DAG runs", lambda conn, now: start_runs(conn, airflow, now).problem),
        Duty("activating campaigns", quietly(activate_campaigns)),
        Duty("starting experiments", quietly(start_experiments)),
        Duty("moving recommenders on", quietly(advance_recommenders)),
        Duty("ending versions that were stopped", quietly(lambda conn, _: end_stopped(conn, settings))),
        Duty("ending what is not available yet", quietly(lambda conn, _: end_unavailable(conn))),
        Duty("removing what was deleted", quietly(lambda conn, now: remove_deleted(conn, settings, now))),
        Duty("looking at DAG runs", lambda conn, now: settle_runs(conn, airflow, now).problem, LOOK_SECONDS),
        Duty("looking at versions that wait", lambda conn, now: settle_questions(conn, airflow, now), ASK_SECONDS),
        Duty("turning the partitions of served", quietly(turn_partitions), PRUNE_SECONDS),
        Duty("forgetting dead workers", quietly(prune_rows), PRUNE_SECONDS),
        Duty("removing work of killed jobs", quietly(lambda conn, _: discard_work(conn, settings)), PRUNE_SECONDS),
        Duty(
            "removing versions that are gone", quietly(lambda conn, _: discard_artefacts(conn, settings)), PRUNE_SECONDS
        ),
        # Not at the start, when everything else has to come up.
        Duty(
            "collecting repositories",
            quietly(lambda conn, _: collect_repositories(conn, settings)),
            COLLECT_SECONDS,
            due=at + COLLECT_SECONDS,
        ),
        Duty(
            "forgetting old DAG runs",
            lambda _, now: forget_runs(settings, airflow, now),
            COLLECT_SECONDS,
            due=at + COLLECT_SECONDS,
        ),
    ]


@contextmanager
def lease(database: Engine) -> Iterator[Connection]:
    """A connection that holds the lease and listens for wishes; raises LeaseHeld.

    The lock lives and dies with the connection, so who has lost it cannot write any more.
    """
    with database.connect() as conn:
        with conn.begin():
            if not conn.execute(select(func.pg_try_advisory_lock(LEASE))).scalar_one():
                raise LeaseHeld
            conn.execute(text(f"LISTEN {NOTIFY_CHANNEL}"))
        try:
            yield conn
        finally:
            # Back in the pool it would keep the lock.
            conn.invalidate()


def wait_for_wish(conn: Connection, seconds: float) -> None:
    """Return when a wish is notified, at the latest after `seconds`."""
    raw = conn.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    for _ in raw.notifies(timeout=seconds, stop_after=1):
        return


def run(settings: Settings, airflow: Airflow, stopped: Callable[[], bool]) -> None:
    """Act until `stopped`, through restarts of PostgreSQL and of Airflow."""
    database = engine(settings, pool_size=1)
    reaching = Backoff("reaching the database")
    todo = duties(settings, airflow, time.monotonic())
    waiting = False
    while not stopped():
        try:
            with lease(database) as conn:
                log.info("acting")
                waiting = False
                while not stopped():
                    reaching.took(time.monotonic(), None)
                    with conn.begin():
                        now = conn.execute(select(func.clock_timestamp())).scalar_one()
                    for duty in todo:
                        duty.run(conn, now, time.monotonic())
                    wait_for_wish(conn, POLL_SECONDS)
        except LeaseHeld:
            if not waiting:
                log.info("another reconciler acts; waiting for it to end")
            waiting = True
            time.sleep(1.0)
        except (SQLAlchemyError, psycopg.Error) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            reaching.took(time.monotonic(), " ".join(str(cause).split()))
            time.sleep(reaching.wait)
    database.dispose()


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, stop)
    settings = Settings.from_env()
    run(settings, AirflowClient(settings), stopping.is_set)


if __name__ == "__main__":
    main()
