"""A version's new artefact in every worker of the runtime, without a request failing: as a campaign changes its version."""

from __future__ import annotations

import logging
import time

from sqlalchemy import Connection, func, select

from pipelines.deletions.errors import DeletionIncomplete
from pipelines.registry import store
from pipelines.registry.database import engine
from pipelines.registry.store import Resource
from pipelines.registry.workers import living, reports
from pipelines.settings import Settings
from pipelines.versions.deploying import redeploy

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2


def campaigns_of(conn: Connection, version: Resource) -> list[Resource]:
    """The campaigns that serve the version or are to serve it."""
    return [
        campaign
        for campaign in store.in_group(conn, str(version.group_id), "Campaign")
        if not campaign.is_deleting and version.arn in (campaign.doc.get("solutionVersionArn"), _wanted(campaign))
    ]


def publish_edition(settings: Settings, version_id: str, edition: int) -> None:
    """Have every worker that serves the version load this edition, and wait until all that live have said so.

    Raises DeletionIncomplete when a worker cannot load it.
    """
    database = engine(settings, pool_size=1)
    try:
        with database.begin() as conn:
            version = store.update(conn, version_id, internal={"edition": edition}, touch=False)
            for campaign in campaigns_of(conn, version):
                if _wanted(campaign) == version.arn:
                    redeploy(conn, campaign, version)
        log.info("waiting until the runtime's workers serve edition %d of %s", edition, version.arn)
        while True:
            with database.begin() as conn:
                if _all_serve(conn, version):
                    return
            time.sleep(POLL_SECONDS)
    finally:
        database.dispose()


def _wanted(campaign: Resource) -> str:
    return str(campaign.internal["deployment"]["solution_version_arn"])


def _all_serve(conn: Connection, version: Resource) -> bool:
    now = conn.execute(select(func.now())).scalar_one()
    if not living(conn, now):
        return True  # who starts from now on loads the newest edition
    waiting = False
    for campaign in campaigns_of(conn, version):
        if campaign.status == store.CREATE_FAILED:
            continue  # nothing is loaded for it
        if _wanted(campaign) == version.arn:
            ready, error = reports(conn, campaign.id, campaign.internal["deployment"]["id"], now)
            if error is not None:
                raise DeletionIncomplete(
                    f"A worker of the runtime could not load {version.arn} without the users, and goes on with what it "
                    f"had: {error}. Restart the runtime, then create a new data deletion job with the same users"
                )
            waiting = waiting or not ready
            continue
        # An update to another version is under way, and this one goes when that succeeds; or it has failed.
        waiting = True
        if campaign.doc.get("latestCampaignUpdate", {}).get("status") == store.CREATE_FAILED:
            redeploy(conn, store.get(conn, id=campaign.id, lock=True) or campaign, version)
    return not waiting
