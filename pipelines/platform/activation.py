"""Campaigns: what is wanted becomes what is served when every living worker of the runtime has reported it."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, or_, select

from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.registry.tables import resources
from pipelines.registry.workers import reports

log = logging.getLogger(__name__)

UPDATE = "latestCampaignUpdate"


def activate_campaigns(conn: Connection, now: datetime) -> int:
    """Take every campaign in transition one step further; how many changed. Without a living worker they wait."""
    with conn.begin():
        update_status = resources.c.doc[UPDATE]["status"].as_string()
        waiting = or_(resources.c.status.in_(store.UNFINISHED), update_status.in_(store.UNFINISHED))
        query = select(resources.c.id).where(resources.c.kind == "Campaign", waiting).order_by(resources.c.created_at)
        ids = list(conn.execute(query).scalars())
    changed = 0
    for campaign_id in ids:
        with conn.begin():
            changed += _advance(conn, campaign_id, now)
    return changed


def _advance(conn: Connection, campaign_id: str, now: datetime) -> bool:
    # Locked, so that an UpdateCampaign either came before, and its deployment is the one looked at, or comes after.
    campaign = store.get(conn, id=campaign_id, lock=True)
    if campaign is None or campaign.is_deleting:
        return False
    wanted = campaign.internal["deployment"]
    ready, error = reports(conn, campaign.id, wanted["id"], now)
    if error is not None:
        _end(conn, campaign, wanted, now, error)
        return True
    if ready:
        _end(conn, campaign, wanted, now, None)
        return True
    return _begin(conn, campaign, now)


def _begin(conn: Connection, campaign: Resource, now: datetime) -> bool:
    """PENDING becomes IN_PROGRESS as soon as it is looked at."""
    update = campaign.doc.get(UPDATE, {})
    if update.get("status") == store.CREATE_PENDING:
        shown = {**update, "status": store.CREATE_IN_PROGRESS, "lastUpdatedDateTime": _epoch(now)}
        # A campaign that never came up serves nothing meanwhile: the runtime loads it as if it were new.
        status = store.ACTIVE if campaign.status == store.ACTIVE else store.CREATE_IN_PROGRESS
        store.update(conn, campaign.id, status=status, doc={UPDATE: shown}, touch=False)
        return True
    if campaign.status == store.CREATE_PENDING:
        store.update(conn, campaign.id, status=store.CREATE_IN_PROGRESS)
        return True
    return False


def _end(conn: Connection, campaign: Resource, wanted: dict[str, Any], now: datetime, error: str | None) -> None:
    update = campaign.doc.get(UPDATE, {})
    is_update = update.get("status") in store.UNFINISHED
    served = {
        "solutionVersionArn": wanted["solution_version_arn"],
        "minProvisionedTPS": wanted.get("minProvisionedTPS"),
        "campaignConfig": wanted.get("config"),
    }
    doc: dict[str, Any] = {} if error else served
    if is_update:
        ended = {"status": store.CREATE_FAILED if error else store.ACTIVE, "lastUpdatedDateTime": _epoch(now)}
        doc[UPDATE] = {**update, **ended, **({"failureReason": _reason(error)} if error else {})}
    if error is None:
        store.update(conn, campaign.id, status=store.ACTIVE, failure_reason=None, doc=doc)
        log.info("%s: ACTIVE on %s", campaign.arn, wanted["solution_version_arn"])
    elif campaign.status == store.ACTIVE:
        store.update(conn, campaign.id, doc=doc)
        log.warning("%s: update failed, the old version goes on: %s", campaign.arn, error)
    else:
        store.update(conn, campaign.id, status=store.CREATE_FAILED, failure_reason=_reason(error), doc=doc)
        log.warning("%s: CREATE FAILED: %s", campaign.arn, error)


def _reason(error: str) -> str:
    return f"The runtime could not load the solution version: {error}"[:2000]


def _epoch(now: datetime) -> float:
    return round(now.timestamp(), 3)
