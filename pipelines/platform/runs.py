"""Resources and their DAG runs: a wish becomes a run, and a run that has ended without a result becomes a failure.

The registry is what clients see, so it may never wait for a run that does not live. All functions open their own
transactions, and none is open while Airflow is asked.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Connection, Row, Select, select
from sqlalchemy import update as sql_update

from pipelines.platform.airflow_client import FAILED, LIVING, SUCCESS, AirflowRefused, AirflowUnavailable
from pipelines.registry import store
from pipelines.registry.tables import outbox, resources

log = logging.getLogger(__name__)

UNCHANGED = "Nothing that was there before has changed. To try again, create"
ENDINGS = {
    "DatasetImportJob": f"{UNCHANGED} a new import job.",
    "DatasetExportJob": "Files that it has written already stay. To try again, create a new export job.",
    "BatchInferenceJob": "Output files that are there already stay. To try again, create a new batch inference job.",
    "BatchSegmentJob": "Output files that are there already stay. To try again, create a new batch segment job.",
    "DataDeletionJob": "What it has deleted stays deleted. To go on, create a new data deletion job with the same users.",
    "SolutionVersion": f"{UNCHANGED} a new solution version.",
}
"""What a person should know when a run has ended without a result, by the kind of what it was for."""
GRACE = timedelta(seconds=10)
"""A run that was just started may not be visible everywhere yet."""
BATCH = 50


class Airflow(Protocol):
    """What the reconciler needs of pipelines.platform.airflow_client."""

    def trigger(self, dag_id: str, run_id: str, conf: dict[str, Any]) -> None: ...

    def state(self, dag_id: str, run_id: str) -> str | None: ...


@dataclass(frozen=True)
class Outcome:
    """What a step did; `problem` is why Airflow could not be asked."""

    changed: int = 0
    problem: str | None = None


def start_runs(conn: Connection, airflow: Airflow, now: datetime) -> Outcome:
    """Start what was wished and has no run yet, oldest first; stops at the first that Airflow cannot take now."""
    started = 0
    for wish in _wishes(conn, _open().where(outbox.c.started_at.is_(None))):
        if wish.status not in store.WORKING:
            _settle(conn, wish, now)
            continue
        try:
            airflow.trigger(wish.dag_id, wish.run_id, wish.conf)
        except AirflowUnavailable as error:
            _note(conn, wish, attempts=wish.attempts + 1, last_error=str(error))
            return Outcome(started, str(error))
        except AirflowRefused as error:
            _fail(conn, wish, now, f"{error}. This is a defect of the platform, not of the data.")
            continue
        _note(conn, wish, started_at=now, last_error=None)
        log.info("request %s: started %s, run %s", wish.conf.get("request_id"), wish.dag_id, wish.run_id)
        started += 1
    return Outcome(started)


def settle_runs(conn: Connection, airflow: Airflow, now: datetime) -> Outcome:
    """Look at every started run whose resource has not ended: without a living run it turns CREATE FAILED or FAILED."""
    settled = 0
    for wish in _wishes(conn, _open().where(outbox.c.started_at.is_not(None))):
        if wish.status not in store.WORKING:
            _settle(conn, wish, now)
            settled += 1
            continue
        try:
            state = airflow.state(wish.dag_id, wish.run_id)
        except AirflowUnavailable as error:
            return Outcome(settled, str(error))
        if state in LIVING or (now - wish.started_at < GRACE and state is None):
            continue
        if state is None and wish.status in (store.CREATE_PENDING, store.PENDING):
            # Airflow lost it (its tables were emptied) before anything was done: simply start it again.
            _note(conn, wish, started_at=None)
            log.warning("Airflow does not know run %s any more: it is started again", wish.run_id)
            continue
        _fail(conn, wish, now, _verdict(wish, state))
        settled += 1
    return Outcome(settled)


def _verdict(wish: Row[Any], state: str | None) -> str:
    where = f"run {wish.run_id} of DAG {wish.dag_id}"
    what = {
        FAILED: f"Its process was stopped or died before it could say why; {where} in the Airflow UI has its log.",
        SUCCESS: f"The work ended without a result; {where} in the Airflow UI has its log.",
        None: f"Airflow does not know {where} any more: it was deleted.",
    }.get(state, f"{where} is {state}.")
    return f"{what} {ENDINGS[wish.kind]}"


def _open() -> Select[Any]:
    columns = (outbox, resources.c.status, resources.c.kind)
    joined = select(*columns).join(resources, resources.c.id == outbox.c.resource_id)
    return joined.where(outbox.c.settled_at.is_(None)).order_by(outbox.c.id).limit(BATCH)


def _wishes(conn: Connection, query: Select[Any]) -> list[Row[Any]]:
    with conn.begin():
        return list(conn.execute(query))


def _note(conn: Connection, wish: Row[Any], **values: object) -> None:
    with conn.begin():
        conn.execute(sql_update(outbox).where(outbox.c.id == wish.id).values(**values))


def _settle(conn: Connection, wish: Row[Any], now: datetime) -> None:
    _note(conn, wish, settled_at=now)


def _fail(conn: Connection, wish: Row[Any], now: datetime, reason: str) -> None:
    """CREATE FAILED or FAILED, unless the run's own last step has ended it in the meantime."""
    with conn.begin():
        resource = store.get(conn, id=wish.resource_id, lock=True)
        if resource is not None and resource.status in store.WORKING:
            status = store.failed_status(resource.kind)
            store.update(conn, resource.id, status=status, failure_reason=reason)
            log.warning("%s: %s: %s", resource.arn, status, reason)
        conn.execute(sql_update(outbox).where(outbox.c.id == wish.id).values(settled_at=now))
