"""What must be done now and then so that nothing grows without bounds."""

from __future__ import annotations

import logging
import shutil
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import Connection, delete, select

from pipelines.datasets.impressions import resolve
from pipelines.platform.airflow_client import AirflowUnavailable
from pipelines.platform.logfiles import TASK_LOG_DAYS
from pipelines.registry import audit, store
from pipelines.registry.database import drop_served_partitions, ensure_served_partitions
from pipelines.registry.tables import outbox, resources, workers
from pipelines.repository import GroupRepository, RepositoryError
from pipelines.settings import Settings
from pipelines.versions import bentos
from pipelines.versions.lookup import dropped

log = logging.getLogger(__name__)

WORKER_FORGOTTEN = timedelta(minutes=1)
WISH_FORGOTTEN = timedelta(days=7)


class Airflow(Protocol):
    """What is needed of pipelines.platform.airflow_client."""

    def forget_runs(self, before: datetime) -> int: ...


def forget_runs(settings: Settings, airflow: Airflow, now: datetime) -> str | None:
    """Runs whose tasks' logs are gone too; what kept Airflow from it, or None.

    Sixty runs a day are the schedules' own, of 9 KB in the database, and most found nothing to do. A company's own
    Airflow keeps its runs as long as the company likes.
    """
    if settings.airflow_url:
        return None
    try:
        forgotten = airflow.forget_runs(now - timedelta(days=TASK_LOG_DAYS))
    except AirflowUnavailable as error:
        return str(error)
    if forgotten:
        log.info("forgot %d DAG run(s) of more than %d days ago", forgotten, TASK_LOG_DAYS)
    return None


def prune_rows(conn: Connection, now: datetime) -> None:
    """Workers that died (their deployments go with them), wishes that were fulfilled long ago, the audit of last year."""
    with conn.begin():
        conn.execute(delete(workers).where(workers.c.heartbeat_at < now - WORKER_FORGOTTEN))
        conn.execute(delete(outbox).where(outbox.c.settled_at < now - WISH_FORGOTTEN))
        audit.prune(conn, now)


def turn_partitions(conn: Connection, now: datetime) -> None:
    """Partitions of `served` for the coming hours are there, those of the day before are gone.

    Events have their lists before those go.
    """
    resolve(conn, now)
    with conn.begin():
        made = ensure_served_partitions(conn, now)
    with conn.begin():
        dropped = drop_served_partitions(conn, now)
    if made or dropped:
        log.info("served: made %s, dropped %s", made, dropped)


def discard_work(conn: Connection, settings: Settings) -> None:
    """Remove people's data that jobs had at hand when their run was killed too hard to do so."""
    lists = {work: work.parent.name for work in settings.deletions_dir.glob("*/work")}
    others = {work: work.name for home in (settings.exports_dir, settings.batch_dir) for work in home.glob("*")}
    for work, id in {**lists, **others}.items():
        with conn.begin():
            job = store.get(conn, id=id)
        if job is None or job.status not in store.UNFINISHED:
            shutil.rmtree(work, ignore_errors=True)


def discard_artefacts(conn: Connection, settings: Settings) -> None:
    """Take versions that are gone or dropped out of the Bento store, and items of datasets that are gone.

    Who removed them may have worked on another machine.
    """
    for model in (settings.bento_home / "models").glob("solution-*/*/"):
        if model.name.startswith("."):
            continue  # on its way in or out
        with conn.begin():
            version = store.get(conn, id=model.name)
        if version is None or dropped(version) is not None:
            bentos.remove(settings, model.parent.name.removeprefix("solution-"), model.name)
    for tables in (settings.bento_home / "items").glob("*/"):
        with conn.begin():
            dataset = store.get(conn, id=tables.name)
        if dataset is None:
            shutil.rmtree(tables, ignore_errors=True)


def collect_repositories(conn: Connection, settings: Settings) -> None:
    """Bound every group's cache and remote, unless a job runs in it; then it is its turn an hour later."""
    with conn.begin():
        query = select(resources.c.id).where(resources.c.kind == "DatasetGroup", resources.c.status == store.ACTIVE)
        groups = list(conn.execute(query).scalars())
    for group_id in groups:
        try:
            GroupRepository(settings, group_id).collect()
        except (RepositoryError, OSError) as error:
            log.warning("group %s is not collected: %s", group_id, error)
