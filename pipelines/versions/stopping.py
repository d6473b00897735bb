"""Stopping a version that is being made: what the client asked for reaches its processes, on whichever machine they run.

StopSolutionVersionCreation only writes CREATE STOPPING. Three ways for it to go on were open:

- through Airflow: fail the task by its API. The run is red then, as if something were wrong, whoever had to ask Airflow
  would need it up, and what runs the task's children survives a task that is killed hard;
- from outside: kill the processes. Who stops may be on another machine than who trains;
- from within: whoever works on the version looks at its status every second and leaves. It is this one, since a task
  needs the registry anyway; its children end as with any interruption (repository/processes.py), the worktree goes, and
  the run ends with skipped tasks, without a retry.

Whoever works on a version also holds a lock in the database, which ends with the process. So the reconciler knows when
nobody works on it any more, also when the task waits for its turn or was killed, and only then says CREATE STOPPED
(platform/stopping.py).
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sqlalchemy import ColumnElement, Connection, func, select
from sqlalchemy.exc import SQLAlchemyError

from pipelines.registry import store
from pipelines.registry.database import engine
from pipelines.settings import Settings
from pipelines.versions.errors import VersionStopped
from pipelines.versions.lookup import STOPPED

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
AGAIN_SECONDS = 30.0
"""Where an interruption was lost, in a destructor for example, the next comes so much later: leaving takes its time too."""
SIGNAL = signal.SIGUSR1


@contextmanager
def stoppable(settings: Settings, version_id: str) -> Iterator[None]:
    """Work on a version in the main thread; raises VersionStopped inside as soon as a client stops it.

    In another thread nothing interrupts the work, as signals reach the main thread only: the next step finds out.
    """
    watch = _Watch(settings, version_id)
    watch.hold()
    try:
        if threading.current_thread() is threading.main_thread():
            with watch.interrupting():
                yield
        else:
            yield
    finally:
        watch.let_go()


def nobody_works_on(conn: Connection, version_id: str) -> bool:
    """Whether no process works on the version; keeps others from beginning until the transaction ends."""
    return bool(conn.execute(select(func.pg_try_advisory_xact_lock(_key(version_id)))).scalar_one())


def _key(version_id: str) -> ColumnElement[int]:
    return func.hashtextextended(f"openpersonalize:making:{version_id}", 0)


class _Watch:
    """Holds the lock of who works on a version, and sees when that shall end."""

    def __init__(self, settings: Settings, version_id: str) -> None:
        self._id = version_id
        self._database = engine(settings, pool_size=1)
        self._left = threading.Event()

    def hold(self) -> None:
        """Waits while the reconciler looks. Two attempts at once may hold it, as long as Airflow takes one for dead."""
        self._connection = self._database.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._connection.execute(select(func.pg_advisory_lock_shared(_key(self._id))))

    def let_go(self) -> None:
        # Not back into a pool: it would keep the lock.
        self._connection.invalidate()
        self._connection.close()
        self._database.dispose()

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        def interrupt(_number: int, _frame: FrameType | None) -> None:
            if not self._left.is_set():
                raise VersionStopped(f"Solution version {self._id} is stopped, as a client asked for.")

        before = signal.signal(SIGNAL, interrupt)
        watching = threading.Thread(target=self._look, name=f"stop-{self._id}", daemon=True)
        watching.start()
        try:
            yield
        finally:
            self._left.set()
            watching.join()
            signal.signal(SIGNAL, before)

    def _look(self) -> None:
        again = 0.0
        while not self._left.wait(LOOK_SECONDS):
            try:
                version = store.get(self._connection, id=self._id)
            except SQLAlchemyError as error:
                log.info("cannot see whether the version is stopped: %s; trying again", type(error).__name__)
                self._try_to_hold()
                continue
            if version is not None and version.status in STOPPED and time.monotonic() >= again:
                again = time.monotonic() + AGAIN_SECONDS
                log.info("%s is %s: ending what works on it", version.arn, version.status)
                # To the thread, so that a system call in which it waits returns.
                signal.pthread_kill(threading.main_thread().ident or 0, SIGNAL)

    def _try_to_hold(self) -> None:
        """After the database has cut the connection, and the lock with it."""
        try:
            self._connection.invalidate()
            self._connection.close()
            self.hold()
        except SQLAlchemyError:
            log.debug("the database is not back yet")
