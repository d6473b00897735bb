"""Versions that wait for a person: the answer given in Airflow is written on the version, and a void question is ended.

A duty of the reconciler and not a task of the run, as it must hold for runs that were stopped, killed or forgotten too.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection, select

from pipelines.platform.airflow_client import LIVING, AirflowUnavailable, Question
from pipelines.registry.store import Resource
from pipelines.registry.tables import outbox
from pipelines.versions import rollout

DAG_ID, TASK_ID = "solution_version", "approve"
APPROVE, REJECT = "Approve", "Reject"


class Airflow(Protocol):
    """What is needed of pipelines.platform.airflow_client."""

    def state(self, dag_id: str, run_id: str) -> str | None: ...

    def question(self, dag_id: str, run_id: str, task_id: str) -> Question | None: ...

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str) -> None: ...


def settle_questions(conn: Connection, airflow: Airflow, now: datetime) -> str | None:
    """Look at every version that waits; what kept Airflow from being asked, or None."""
    with conn.begin():
        waiting = [(version, _run_of(conn, version)) for version in rollout.waiting(conn)]
    for version, run_id in waiting:
        try:
            _settle(conn, airflow, version, run_id, now)
        except AirflowUnavailable as error:
            return str(error)
    return None


def _settle(conn: Connection, airflow: Airflow, version: Resource, run_id: str | None, now: datetime) -> None:
    asked = airflow.question(DAG_ID, run_id, TASK_ID) if run_id else None
    choice = by = None
    if asked is not None and asked.chosen is not None:
        choice = rollout.APPROVED if asked.chosen == APPROVE else rollout.REJECTED if asked.by else rollout.UNANSWERED
        by = asked.by
    elif _is_void(conn, version):
        choice = rollout.SUPERSEDED
        if asked is not None and asked.waits and run_id:
            airflow.answer(DAG_ID, run_id, TASK_ID, REJECT)
    elif (asked is None or not asked.waits) and (not run_id or airflow.state(DAG_ID, run_id) not in LIVING):
        # Somebody stopped the run, or it was deleted: nobody can answer any more.
        choice = rollout.UNANSWERED
    if choice is not None:
        with conn.begin():
            rollout.decide(conn, version.id, choice, by, now)


def _is_void(conn: Connection, version: Resource) -> bool:
    with conn.begin():
        return rollout.is_void(conn, version)


def _run_of(conn: Connection, version: Resource) -> str | None:
    """The run that made the version; None when it is not known any more."""
    query = select(outbox.c.run_id).where(outbox.c.resource_id == version.id, outbox.c.dag_id == DAG_ID)
    return conn.execute(query.order_by(outbox.c.id.desc()).limit(1)).scalar_one_or_none()
