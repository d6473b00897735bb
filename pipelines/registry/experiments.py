"""The rows of A/B experiments: what was compared, since when, how it ended. Every function works in the caller's
transaction; who changes what a campaign carries holds the campaign.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from pipelines.registry.store import Resource, new_id
from pipelines.registry.tables import events, experiments

STOPPED, PROMOTED, FAILED = "stopped", "promoted", "failed"


@dataclass(frozen=True)
class Experiment:
    """A row of `experiments`; see pipelines/registry/tables.py for what each column means."""

    id: str
    campaign_id: str
    control_arn: str
    challenger_arn: str
    share: int
    event_cutoff: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    failure_reason: str | None


def begin(conn: Connection, campaign: Resource, control: Resource, challenger: Resource, share: int) -> Experiment:
    """A new one, whose users are split once `started_at` is set."""
    newest = select(func.coalesce(func.max(events.c.id), 0)).where(events.c.group_id == campaign.group_id)
    values = {
        "id": new_id(),
        "campaign_id": campaign.id,
        "control_arn": control.arn,
        "challenger_arn": challenger.arn,
        "share": share,
        "event_cutoff": newest.scalar_subquery(),
        "created_at": func.now(),
    }
    return Experiment(**conn.execute(experiments.insert().values(values).returning(experiments)).one()._mapping)


def of_campaign(conn: Connection, campaign_id: str) -> list[Experiment]:
    """All of a campaign, the newest first; only that one can be open."""
    query = select(experiments).where(experiments.c.campaign_id == campaign_id)
    newest_first = query.order_by(experiments.c.created_at.desc(), experiments.c.id)
    return [Experiment(**row._mapping) for row in conn.execute(newest_first)]


def waiting(conn: Connection) -> list[Experiment]:
    """Those whose challenger is still to be loaded, oldest first."""
    query = select(experiments).where(experiments.c.started_at.is_(None), experiments.c.ended_at.is_(None))
    return [Experiment(**row._mapping) for row in conn.execute(query.order_by(experiments.c.created_at))]


def start(conn: Connection, id: str, at: datetime) -> None:
    """Split users from `at` on."""
    conn.execute(experiments.update().where(experiments.c.id == id).values(started_at=at))


def end(conn: Connection, campaign_id: str, outcome: str, at: datetime, failure_reason: str | None = None) -> None:
    """End the open one of a campaign."""
    is_open = (experiments.c.campaign_id == campaign_id) & experiments.c.ended_at.is_(None)
    values = {"outcome": outcome, "ended_at": at, "failure_reason": failure_reason}
    conn.execute(experiments.update().where(is_open).values(values))
