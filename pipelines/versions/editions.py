"""A version's new artefact in every worker of the runtime, without a request failing: as a campaign changes its version."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, select

from pipelines.registry import store
from pipelines.registry.database import engine
from pipelines.registry.store import Resource
from pipelines.registry.workers import living, reports
from pipelines.settings import Settings
from pipelines.versions.deploying import redeploy
from pipelines.versions.errors import VersionFailed
from pipelines.versions.lookup import campaigns_of, wants

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2


class NotLoaded(VersionFailed):
    """A worker of the runtime cannot load the edition, and goes on with what it had."""


def publish_edition(
    settings: Settings, version_id: str, edition: int, internal: Mapping[str, Any] | None = None
) -> None:
    """Have every worker that serves the version load this edition, and wait until all that live have said so.

    `internal` is what else becomes known of the version at the same moment. Raises NotLoaded.
    """
    database = engine(settings, pool_size=1)
    try:
        with database.begin() as conn:
            _hold_group(conn, version_id)
            version = store.update(conn, version_id, internal={"edition": edition, **(internal or {})}, touch=False)
            for one in campaigns_of(conn, version):
                campaign = store.get(conn, id=one.id, lock=True)
                if campaign is not None and wants(campaign, version):
                    redeploy(conn, campaign, version)
        log.info("waiting until the runtime's workers serve edition %d of %s", edition, version.arn)
        while True:
            with database.begin() as conn:
                if _all_serve(conn, version):
                    return
            time.sleep(POLL_SECONDS)
    finally:
        database.dispose()


def _hold_group(conn: Connection, version_id: str) -> None:
    """The API's order: group, then what is in it."""
    version = store.get(conn, id=version_id)
    if version is not None and version.group_id is not None:
        store.get(conn, id=version.group_id, lock=True)


def _all_serve(conn: Connection, version: Resource) -> bool:
    now = conn.execute(select(func.now())).scalar_one()
    if not living(conn, now):
        return True  # who starts from now on loads the newest edition
    waiting = False
    for campaign in campaigns_of(conn, version):
        if campaign.status == store.CREATE_FAILED:
            continue  # nothing is loaded for it
        if wants(campaign, version):
            ready, error = reports(conn, campaign.id, campaign.internal["deployment"]["id"], now)
            if error is not None:
                raise NotLoaded(f"A worker of the runtime could not load the new artefact of {version.arn}: {error}")
            waiting = waiting or not ready
            continue
        # An update to another version is under way, and this one goes when that succeeds; or it has failed.
        waiting = True
        if campaign.doc.get("latestCampaignUpdate", {}).get("status") == store.CREATE_FAILED:
            redeploy(conn, store.get(conn, id=campaign.id, lock=True) or campaign, version)
    return not waiting
