"""Runs that a person starts in the Airflow UI: the resource is made as the API would make it, and tied to the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from sqlalchemy import Connection, func, select

from pipelines.aws import models
from pipelines.aws.errors import CONTROL
from pipelines.control.context import Context, Given
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.settings import Settings

Make = Callable[[Context, Given], Resource]


def made_in_run(
    settings: Settings,
    conn: Connection,
    operation: str,
    make: Make,
    request: dict[str, Any],
    *,
    dag_id: str,
    run_id: str,
    request_id: str | None,
) -> str:
    """The id of the resource that the run is about; a retry of the run gets the same.

    Raises what `operation` raises, Validation included.
    """
    there = store.of_run(conn, run_id)
    if there is None:
        given = models.parse_input(CONTROL, operation, orjson.dumps(request))
        now = conn.execute(select(func.now())).scalar_one()
        there = make(Context(conn, settings, request_id or run_id, now), given)
        store.adopt_run(conn, there, dag_id, run_id)
    return there.id
