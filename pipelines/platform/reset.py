"""`openpersonalize reset`: an empty store in seconds, without a restart.

First Airflow's runs of the old world are stopped, so that no task of theirs writes into the new one; then our tables
are emptied in one statement; then the folders go. Access keys and audit stay. A task that still runs for a moment finds
its resource gone and ends.
"""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

import psycopg
from psycopg import sql

from pipelines.platform.airflow_client import AirflowClient, AirflowUnavailable
from pipelines.platform.audit_command import note
from pipelines.registry.database import transaction
from pipelines.registry.tables import SCHEMA, access_keys, audit, metadata
from pipelines.settings import Settings

TRIES = 10


class ResetError(RuntimeError):
    """The store could not be emptied; nothing was deleted. The message says why."""


def reset(settings: Settings) -> None:
    """Empty the store of a running platform; `settings.database_url` must be filled in. Raises ResetError."""
    stop_runs(settings)
    truncate(settings)
    with transaction(settings) as conn:
        note(conn, "reset", str(settings.home))
    for folder in store_folders(settings):
        empty(folder)


def stop_runs(settings: Settings) -> None:
    """Fail every unfinished DAG run, which kills its tasks."""
    try:
        AirflowClient(settings).stop_all_runs()
    except AirflowUnavailable as error:
        raise ResetError(f"running jobs cannot be stopped, so nothing was deleted: {error}") from error


def truncate(settings: Settings) -> None:
    """Delete every row of what is stored; sequences go on, so that no number of the old world is given again."""
    stored = [table for table in metadata.sorted_tables if table not in (access_keys, audit)]
    names = sql.SQL(", ").join(sql.Identifier(SCHEMA, table.name) for table in stored)
    with psycopg.connect(settings.database_url, autocommit=True, connect_timeout=10) as connection:
        connection.execute("SET lock_timeout = '1s'")
        for attempt in range(TRIES):
            try:
                connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(names))
                return
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
                # It waits for every transaction that touches a table, and everybody else waits behind it: let go
                # and try again rather than hold them up.
                if attempt == TRIES - 1:
                    raise ResetError("the tables are in use by a long transaction: try again in a minute") from error


def store_folders(settings: Settings) -> list[Path]:
    """The folders that hold what the rows describe. A remote outside the home is somebody else's: it stays."""
    folders = [
        settings.groups_dir,
        settings.imports_dir,
        settings.deletions_dir,
        settings.bento_home / "models",
        settings.bento_home / "bentos",
        settings.bento_home / "items",
    ]
    remote = Path(settings.dvc_remote)
    if "://" not in settings.dvc_remote and remote.absolute().is_relative_to(settings.home):
        folders.append(remote)
    return folders


def empty(folder: Path) -> None:
    """Take everything out of `folder` at once by renaming it, then delete it; the runtime may have parts mapped."""
    if not folder.exists():
        return
    trash = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.deleted")
    folder.rename(trash)
    folder.mkdir()
    shutil.rmtree(trash, ignore_errors=True)
