"""What must be done now and then so that nothing grows without bounds."""

from __future__ import annotations

import logging
import shutil
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select

from pipelines.datasets.impressions import resolve
from pipelines.registry import store
from pipelines.registry.database import drop_served_partitions, ensure_served_partitions
from pipelines.registry.tables import outbox, resources, workers
from pipelines.repository import GroupRepository, RepositoryError
from pipelines.settings import Settings
from pipelines.versions import bentos
from pipelines.versions.lookup import dropped

log = logging.getLogger(__name__)

WORKER_FORGOTTEN = timedelta(minutes=1)
WISH_FORGOTTEN = timedelta(days=7)


def prune_rows(conn: Connection, now: datetime) -> None:
    """Workers that died (their deployments go with them), and wishes that were fulfilled long ago."""
    with conn.begin():
        conn.execute(delete(workers).where(workers.c.heartbeat_at < now - WORKER_FORGOTTEN))
        conn.execute(delete(outbox).where(outbox.c.settled_at < now - WISH_FORGOTTEN))


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
    """Remove people's data that data deletion and export jobs had at hand when their run was killed too hard to do so."""
    lists = {work: work.parent.name for work in settings.deletions_dir.glob("*/work")}
    exports = {work: work.name for work in settings.exports_dir.glob("*")}
    for work, id in {**lists, **exports}.items():
        with conn.begin():
            job = store.get(conn, id=id)
        if job is None or job.status not in store.UNFINISHED:
            shutil.rmtree(work, ignore_errors=True)


def discard_artefacts(conn: Connection, settings: Settings) -> None:
    """Take versions that are gone or dropped out of the Bento store: who removed them may have worked on another machine."""
    for model in (settings.bento_home / "models").glob("solution-*/*/"):
        if model.name.startswith("."):
            continue  # on its way in or out
        with conn.begin():
            version = store.get(conn, id=model.name)
        if version is None or dropped(version) is not None:
            bentos.remove(settings, model.parent.name.removeprefix("solution-"), model.name)


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
