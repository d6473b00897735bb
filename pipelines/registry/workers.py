"""What the runtime's living workers say that they serve."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from pipelines.registry.tables import deployments, workers

ALIVE = timedelta(seconds=5)
"""A worker beats every second; one that has been silent for longer is not waited for."""


def living(conn: Connection, now: datetime) -> set[str]:
    """The ids of the workers that live."""
    return set(conn.execute(select(workers.c.id).where(workers.c.heartbeat_at > now - ALIVE)).scalars())


def reports(conn: Connection, campaign_id: str, deployment_id: str, now: datetime) -> tuple[bool, str | None]:
    """(whether every living worker, at least one, serves the deployment, the first error that one reported)."""
    alive = living(conn, now)
    query = select(deployments.c.worker_id, deployments.c.error).where(
        deployments.c.campaign_id == campaign_id,
        deployments.c.deployment_id == deployment_id,
        deployments.c.worker_id.in_(alive),
    )
    said = {row.worker_id: row.error for row in conn.execute(query)}
    error = next((error for error in said.values() if error is not None), None)
    return bool(alive) and set(said) == alive, error
