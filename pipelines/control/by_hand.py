"""Runs that a person starts in the Airflow UI: the resource is made as the API would make it, and tied to the run."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, func, select

from pipelines.aws import models
from pipelines.aws.errors import CONTROL
from pipelines.control import auditing
from pipelines.control.context import Context, Given
from pipelines.registry import wishes
from pipelines.registry.store import Resource
from pipelines.settings import Settings

Make = Callable[[Context, Given], Resource]
InRun = Callable[[Settings, Connection, Mapping[str, Any], str, str | None], str]
"""(settings, conn, request, run id, request id) -> the id of the resource that the run is about.

A retry of the run gets the same. Raises what the operation raises, Validation included."""

# Unlike AWS, Airflow: a run that a person starts makes its job itself, named after the run, with a role that nobody
# takes on. Airflow's form is a door of its own here, and its runs look like any other job.
ROLE = "arn:aws:iam::000000000000:role/not-assumed"
"""Of a job that a person starts in Airflow: AWS's model wants one, and nobody takes it on here."""


def in_run(operation: str, make: Make, dag_id: str, **defaults: str) -> InRun:
    """What makes the resource of `operation` for a run of `dag_id`; a job without a name is named after its run."""

    def made(
        settings: Settings, conn: Connection, request: Mapping[str, Any], run_id: str, request_id: str | None
    ) -> str:
        there = wishes.of_run(conn, run_id)
        if there is None:
            named = {"jobName": _job_name(run_id)} if operation.endswith("Job") else {}
            given = models.parse_input(CONTROL, operation, orjson.dumps({**named, **defaults, **request}))
            now = conn.execute(select(func.now())).scalar_one()
            context = Context(conn, settings, request_id or run_id, now)
            there = make(context, given)
            auditing.made_in_run(context, operation, there.arn, run_id)
            wishes.adopt_run(conn, there, dag_id, run_id)
        return there.id

    return made


def _job_name(run_id: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", run_id).lstrip("-_")[:63]
