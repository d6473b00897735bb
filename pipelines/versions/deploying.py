"""What a campaign is to serve: a wanted deployment that the runtime loads and the reconciler activates."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from pipelines.registry import store
from pipelines.registry.database import engine, transaction
from pipelines.registry.store import Resource
from pipelines.settings import Settings
from pipelines.versions.errors import DeploymentFailed
from pipelines.versions.lookup import DROPPED, Subject, challenger, refuse_stopped, subject, wants

log = logging.getLogger(__name__)


def deploy(settings: Settings, version_id: str) -> None:
    """Move the solution's campaigns that follow its latest version to this one, unless they have a newer one.

    Raises VersionStopped for one that was stopped: the rule by which the task runs counts what was skipped before it as
    well as what succeeded.
    """
    database = engine(settings, pool_size=1)
    try:
        with database.begin() as conn:
            found = subject(conn, version_id, lock=True)
            refuse_stopped(found.version)
            now: datetime = conn.execute(select(func.now())).scalar_one()
            for follower in followers(conn, found.version):
                campaign = store.get(conn, id=follower.id, lock=True) or follower
                if challenger(campaign):
                    log.info("campaign %s carries an experiment and follows when that ends", campaign.name)
                    continue
                _want(conn, campaign, found, now)
                log.info("campaign %s follows to %s", campaign.name, found.version.arn)
    finally:
        database.dispose()


def followers(conn: Connection, version: Resource) -> list[Resource]:
    """The campaigns that this version would roll out to: they follow its solution and have no newer version."""
    campaigns = store.children(conn, version.parent_id or "", "Campaign")
    return [campaign for campaign in campaigns if _follows(conn, campaign, version)]


def _follows(conn: Connection, campaign: Resource, version: Resource) -> bool:
    wanted = campaign.internal.get("deployment") or {}
    config = wanted.get("config") or campaign.doc.get("campaignConfig") or {}
    if campaign.is_deleting or version.internal.get(DROPPED) or not config.get("syncWithLatestSolutionVersion"):
        return False
    current = store.get(conn, id=wanted["solution_version_id"]) if wanted.get("solution_version_id") else None
    return current is None or (current.id != version.id and current.created_at < version.created_at)


def is_deployed(settings: Settings, campaign_id: str) -> bool:
    """Whether the campaign serves what it was last told to; raises DeploymentFailed with the reason of one that can't."""
    with transaction(settings) as conn:
        campaign = store.get(conn, id=campaign_id)
    if campaign is None or campaign.is_deleting:
        raise DeploymentFailed("The campaign was deleted meanwhile.")
    update = campaign.doc.get("latestCampaignUpdate", {"status": store.ACTIVE})
    if store.CREATE_FAILED in (campaign.status, update["status"]):
        raise DeploymentFailed(update.get("failureReason") or campaign.failure_reason)
    log.info("%s: %s, its update %s", campaign.arn, campaign.status, update["status"])
    return bool(campaign.status == update["status"] == store.ACTIVE)


def redeploy(conn: Connection, campaign: Resource, version: Resource) -> str:
    """Have every worker load this version anew and say so; the id of the deployment that it reports.

    For a version that the campaign, which is held, serves or is to serve, to all users or to some, in whatever state the
    campaign is: nothing that clients see of it changes. An update that had failed stays failed, and the wanted deployment
    is then what is served.
    """
    wanted = {**campaign.internal["deployment"]}
    if not wants(campaign, version):
        wanted |= {
            "solution_version_id": version.id,
            "solution_version_arn": version.arn,
            "bento": f"solution-{version.parent_id}:{version.id}",
            "config": campaign.doc.get("campaignConfig"),
            "minProvisionedTPS": campaign.doc.get("minProvisionedTPS"),
        }
    wanted |= {"id": store.new_id(), "edition": version.internal.get("edition", 0)}
    store.update(conn, campaign.id, internal={"deployment": wanted}, touch=False)
    return str(wanted["id"])


def set_challenger_down(conn: Connection, campaign: Resource) -> None:
    """Have every worker serve the campaign, which is held, without its challenger."""
    wanted = {name: value for name, value in campaign.internal["deployment"].items() if name != "challenger"}
    store.update(conn, campaign.id, internal={"deployment": {**wanted, "id": store.new_id()}}, touch=False)


def _want(conn: Connection, campaign: Resource, found: Subject, now: datetime) -> None:
    """The same settings with another version, shown as an update that goes on while the old version serves."""
    old: dict[str, Any] = campaign.internal.get("deployment") or {}
    wanted = {
        **old,
        "id": store.new_id(),
        "solution_version_id": found.version.id,
        "solution_version_arn": found.version.arn,
        "bento": found.bento,
    }
    shown = {
        "solutionVersionArn": found.version.arn,
        "minProvisionedTPS": old.get("minProvisionedTPS"),
        "campaignConfig": old.get("config"),
        "status": store.CREATE_PENDING,
        "creationDateTime": now.timestamp(),
        "lastUpdatedDateTime": now.timestamp(),
    }
    # A campaign that never served has nothing to update: it just comes up with the newer version.
    update = {"latestCampaignUpdate": shown} if campaign.status == store.ACTIVE else {}
    store.update(conn, campaign.id, doc=update, internal={"deployment": wanted}, touch=False)
