"""`python -m pipelines.platform.migrations registry|airflow`: bring one of the two schemas to its newest revision.

`airflow db migrate` takes six seconds even when there is nothing to do, so it is skipped when the database says the
revision that this version of Airflow left behind.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from pathlib import Path

import psycopg

from pipelines.platform.files import read_json, write_json
from pipelines.settings import Settings


def main(which: str) -> None:
    settings = Settings.from_env()
    if which == "registry":
        from pipelines.registry.database import migrate

        migrate(settings)
    elif airflow_is_current(settings):
        print("Airflow's schema is current")
    else:
        migrate_airflow(settings)


def airflow_is_current(settings: Settings) -> bool:
    """Whether the database holds the revision that the installed Airflow wrote when it migrated last."""
    return bool(read_json(_record_file(settings)) == _record(settings))


def migrate_airflow(settings: Settings) -> None:
    """Run `airflow db migrate` and remember where it ended; raises SystemExit with its exit code."""
    code = os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-m", "airflow", "db", "migrate"])
    if code != 0:
        raise SystemExit(code if code > 0 else 1)
    write_json(_record_file(settings), _record(settings))


def _record_file(settings: Settings) -> Path:
    return settings.airflow_home / "schema.json"


def _record(settings: Settings) -> dict[str, object]:
    return {"airflow": version("apache-airflow-core"), "revisions": _revisions(settings)}


def _revisions(settings: Settings) -> list[str]:
    """What alembic's table of Airflow says; empty before the first migration."""
    with psycopg.connect(settings.database_url, connect_timeout=10) as connection:
        try:
            rows = connection.execute("SELECT version_num FROM public.alembic_version ORDER BY 1").fetchall()
        except psycopg.errors.UndefinedTable:
            return []
    return [str(row[0]) for row in rows]


if __name__ == "__main__":
    main(sys.argv[1])
