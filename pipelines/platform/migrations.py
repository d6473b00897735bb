"""`python -m pipelines.platform.migrations registry|airflow`: bring one of the two schemas to its newest revision.

That is all that an upgrade of the code asks for, so `openpersonalize up` does it; `upgraded` is what it then tells.

`airflow db migrate` takes six seconds even when there is nothing to do, so it is skipped when the database says the
revision that this version of Airflow left behind.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from pathlib import Path

import psycopg

from pipelines.platform.files import read_json, write_atomically, write_json
from pipelines.settings import Settings

HOPELESS = os.EX_CONFIG
"""Exit code of a step that trying again cannot mend; the last line of its log says why."""
_NOTE = "upgraded-{}.txt"


def main(which: str) -> None:
    settings = Settings.from_env()
    if which == "registry":
        migrate_registry(settings)
    elif airflow_is_current(settings):
        print("Airflow's schema is current")
    else:
        migrate_airflow(settings)


def migrate_registry(settings: Settings) -> None:
    """Bring our own schema up; raises SystemExit with HOPELESS when a newer version has done so further."""
    from pipelines.registry.database import SchemaTooNew, migrate

    try:
        done = migrate(settings)
    except SchemaTooNew as error:
        print(error, file=sys.stderr)
        raise SystemExit(HOPELESS) from None
    if done.before not in (None, done.after):
        _tell(settings, "registry", f"the database was upgraded from revision {done.before} to {done.after}")


def upgraded(settings: Settings) -> list[str]:
    """What the migrations of this start have upgraded, a line each."""
    return [path.read_text().strip() for path in sorted(settings.run_dir.glob(_NOTE.format("*")))]


def forget_upgrades(settings: Settings) -> None:
    """What an earlier start has upgraded is not told again."""
    for path in settings.run_dir.glob(_NOTE.format("*")):
        path.unlink(missing_ok=True)


def _tell(settings: Settings, which: str, line: str) -> None:
    print(line)
    write_atomically(settings.run_dir / _NOTE.format(which), line + "\n")


def airflow_is_current(settings: Settings) -> bool:
    """Whether the database holds the revision that the installed Airflow wrote when it migrated last."""
    return bool(read_json(_record_file(settings)) == _record(settings))


def migrate_airflow(settings: Settings) -> None:
    """Run `airflow db migrate` and remember where it ended; raises SystemExit with its exit code."""
    before = read_json(_record_file(settings))
    code = os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-m", "airflow", "db", "migrate"])
    if code != 0:
        raise SystemExit(code if code > 0 else 1)
    write_json(_record_file(settings), after := _record(settings))
    if isinstance(before, dict) and before["airflow"] != after["airflow"]:
        _tell(settings, "airflow", f"Airflow's tables were upgraded from {before['airflow']} to {after['airflow']}")


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
