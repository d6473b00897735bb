"""Declared schedules: kept at the dataset or solution they are for, read by dags/declared_schedules.py.

A schedule lives in `internal["declared"]` of its dataset (`import`) or solution (the others), so it goes with it and needs
no table of its own. The DAG file asks for all of them each time it is parsed, every half minute and at the start
of each of its tasks: one query on a connection of its own, some milliseconds.

When the database does not answer, the list of the last time is taken, which lies in the home. Without it the file would
give no DAG, and Airflow takes a DAG that its file has not given for 50 seconds for removed (stale) and starts none of
its runs until it is back: an outage of a minute at midnight on Sunday would cost the week's training. An error of the
file would do the same. Only a process that has never seen the database, and has no such file, fails.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection

from pipelines.declared.expressions import Timing, parse
from pipelines.registry import store
from pipelines.registry.database import libpq_url
from pipelines.settings import Settings

log = logging.getLogger(__name__)

DECLARED = "declared"
"""Member of a dataset's or solution's `internal`: {"import" | "full" | "update" | "batch-inference-2" …: Record}."""
IMPORT, FULL, UPDATE, INFERENCE, SEGMENTS = "import", "full", "update", "batch-inference", "batch-segments"
Record = dict[str, Any]
"""{"expression", "since", and what the run needs: of an import "location" and members of its request, of a training
"mode" and "tags", of a full training "campaigns": requests without the version, for those that are not there yet; of a
batch job "given", as in wanted.WantedJob}"""

_QUERY = """
SELECT r.id, r.arn, coalesce(r.doc ->> 'datasetType', r.name), g.name, r.internal -> 'declared'
FROM openpersonalize.resources r JOIN openpersonalize.resources g ON g.id = r.group_id
WHERE r.kind IN ('Dataset', 'Solution') AND r.internal ? 'declared' AND r.status = 'ACTIVE'
ORDER BY r.arn
"""


@dataclass(frozen=True)
class Schedule:
    """One DAG: what runs for which resource, and when."""

    dag_id: str
    what: str
    """import, full, update, or one of the solution's batch jobs: batch-inference, batch-inference-2, …"""
    resource_id: str
    arn: str
    group: str
    expression: str
    since: str
    """When this expression was declared, ISO 8601."""

    @property
    def kind(self) -> str:
        """IMPORT, FULL, UPDATE, INFERENCE or SEGMENTS."""
        return kind_of(self.what)

    @property
    def timing(self) -> Timing:
        return parse(self.expression)

    @property
    def start(self) -> datetime:
        """Before it nothing is due."""
        return self.timing.begins(datetime.fromisoformat(self.since))


def numbered(kind: str, number: int) -> str:
    """The name of a solution's batch job among its schedules; the first, 1, is called as its kind."""
    return kind if number == 1 else f"{kind}-{number}"


def kind_of(what: str) -> str:
    """Whose number is taken off: IMPORT, FULL, UPDATE, INFERENCE or SEGMENTS."""
    return re.sub(r"-\d+$", "", what)


def dag_id(group: str, subject: str, what: str) -> str:
    """`schedule.<group>.<solution or dataset type>.<what>`; names hold no dots, so no two are the same."""
    return f"schedule.{group}.{subject.lower() if what == IMPORT else subject}.{what}"


def current(settings: Settings) -> list[Schedule]:
    """Every schedule there is; raises psycopg.Error when neither the database nor the last list is there.

    None without a database's URL: then this is no platform, but someone who looks at the DAG files.
    """
    if not settings.database_url:
        return []
    copy = settings.airflow_home / "declared_schedules.json"
    try:
        found = _read(settings)
    except psycopg.Error as error:
        if not copy.exists():
            raise
        log.warning("the database does not answer, so the schedules are those of the last time: %s", error)
        return [Schedule(**one) for one in json.loads(copy.read_text())]
    try:
        _keep(copy, json.dumps([asdict(one) for one in found]))
    except OSError as error:
        log.warning("an outage of the database will cost the schedules their runs: %s", error)
    return found


def _keep(copy: Path, text: str) -> None:
    """Whole or not at all: several processes parse the file at once."""
    if copy.exists() and copy.read_text() == text:
        return
    copy.parent.mkdir(parents=True, exist_ok=True)
    fresh = copy.with_suffix(f".{os.getpid()}")
    fresh.write_text(text)
    fresh.replace(copy)


def _read(settings: Settings) -> list[Schedule]:
    with psycopg.connect(libpq_url(settings), connect_timeout=3, options="-c statement_timeout=5000") as connection:
        try:
            rows = connection.execute(_QUERY).fetchall()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            return []  # before the first migration
    return [
        Schedule(dag_id(group, subject, what), what, id, arn, group, record["expression"], record["since"])
        for id, arn, subject, group, declared in rows
        for what, record in declared.items()
    ]


def declare(conn: Connection, resource_id: str, what: str, record: Mapping[str, Any] | None) -> None:
    """Write a schedule of a dataset or solution, or take it away."""
    resource = store.get(conn, id=resource_id, lock=True)
    if resource is None or resource.is_deleting:
        return
    kept = {name: one for name, one in resource.internal.get(DECLARED, {}).items() if name != what}
    if record is not None:
        kept[what] = dict(record)
    store.update(conn, resource_id, internal={DECLARED: kept}, touch=False)
