"""The outbox: wishes for DAG runs, written in the transaction that writes the resource they are for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, insert, select, text
from sqlalchemy.dialects.postgresql import insert as pg_insert

from pipelines.registry.database import NOTIFY_CHANNEL
from pipelines.registry.store import Resource, resource_of
from pipelines.registry.tables import outbox, resources


def wish(conn: Connection, resource: Resource, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
    """Ask for a DAG run in this transaction; its run id. Asking twice is asking once.

    The reconciler is woken when the transaction commits.
    """
    run_id = f"{resource.name.replace('/', '.')}.{resource.id}"
    standard = {"resource_id": resource.id, "resource_arn": resource.arn, "request_id": resource.request_id}
    row = {"resource_id": resource.id, "dag_id": dag_id, "run_id": run_id, "conf": {**standard, **(conf or {})}}
    conn.execute(pg_insert(outbox).values(row).on_conflict_do_nothing(index_elements=[outbox.c.run_id]))
    wake_reconciler(conn)
    return run_id


def adopt_run(conn: Connection, resource: Resource, dag_id: str, run_id: str) -> None:
    """Tie a resource to a DAG run that a person started in Airflow: the run takes the place of a wish's."""
    conf = {"resource_id": resource.id, "resource_arn": resource.arn, "request_id": resource.request_id}
    row = {"resource_id": resource.id, "dag_id": dag_id, "run_id": run_id, "conf": conf, "started_at": func.now()}
    conn.execute(insert(outbox).values(row))


def of_run(conn: Connection, run_id: str) -> Resource | None:
    """The resource that a DAG run is for, or None."""
    query = select(resources).join(outbox, outbox.c.resource_id == resources.c.id).where(outbox.c.run_id == run_id)
    row = conn.execute(query).one_or_none()
    return resource_of(row) if row is not None else None


def wake_reconciler(conn: Connection) -> None:
    """Tell the reconciler, when this transaction commits, that there is something to do."""
    conn.execute(text(f"NOTIFY {NOTIFY_CHANNEL}"))
