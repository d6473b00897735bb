"""This worker's row in the registry: that it lives, and what it serves.

A campaign turns ACTIVE when every living worker has reported its deployment, so reports go out as soon as something
changed and are compared with the registry at every heartbeat: rows that were lost (the store was emptied, the server
lost them in a crash) come back by themselves.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import orjson
import psycopg

from bento.campaigns import Campaigns
from bento.database import Database
from bento.outage import Outage
from pipelines.aws.errors import ServiceUnavailable

HEARTBEAT_SECONDS = 1.0

_BEAT = """
WITH beat AS (
    INSERT INTO openpersonalize.workers (id, pid) VALUES (%(id)s, %(pid)s)
    ON CONFLICT (id) DO UPDATE SET heartbeat_at = now()
)
SELECT campaign_id, deployment_id, error FROM openpersonalize.deployments WHERE worker_id = %(id)s
"""

_REPORT = """
INSERT INTO openpersonalize.deployments (campaign_id, worker_id, deployment_id, error)
SELECT r.campaign_id, %(id)s, r.deployment_id, r.error
FROM jsonb_to_recordset(%(reports)s::jsonb) AS r(campaign_id text, deployment_id text, error text)
WHERE EXISTS (SELECT FROM openpersonalize.resources c WHERE c.id = r.campaign_id)
ON CONFLICT (campaign_id, worker_id)
DO UPDATE SET deployment_id = excluded.deployment_id, error = excluded.error, reported_at = now()
RETURNING 1
"""

# Rows of workers that were killed; a living one beats every second.
_BURY = "DELETE FROM openpersonalize.workers WHERE heartbeat_at < now() - interval '1 minute' RETURNING id"
_LEAVE = "DELETE FROM openpersonalize.workers WHERE id = %(id)s RETURNING id"

log = logging.getLogger("openpersonalize.worker")


class Worker:
    """Heartbeat and reports of one process."""

    def __init__(self, database: Database, campaigns: Campaigns, on_beat: Callable[[], None]) -> None:
        self.id = secrets.token_hex(8)
        self._database = database
        self._campaigns = campaigns
        self._on_beat = on_beat

    async def enter(self) -> None:
        """Be counted among the living before anything is loaded, so that nobody turns ACTIVE without this worker."""
        await self._database.rows(_BURY)
        await self.beat()

    async def run(self) -> None:
        """Beat once a second, and at once when there is something to report, until cancelled."""
        # Also a campaign that was deleted between two statements; the next beat sees it gone.
        outage = Outage(log, "no heartbeat", psycopg.Error)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(
                    HEARTBEAT_SECONDS
                ):  # wait_for loses a cancellation that comes with the event
                    await self._campaigns.changed.wait()
            self._campaigns.changed.clear()
            with outage.noted():
                await self.beat()

    async def beat(self) -> None:
        """Say that this worker lives, and report what differs from what the registry has."""
        self._on_beat()
        rows = await self._database.rows(_BEAT, {"id": self.id, "pid": os.getpid()})
        known = {campaign_id: (deployment_id, error) for campaign_id, deployment_id, error in rows}
        new = {key: report for key, report in self._campaigns.reports.items() if known.get(key) != report}
        if new:
            await self._database.rows(_REPORT, {"id": self.id, "reports": _recordset(new)})

    async def leave(self) -> None:
        """Not be waited for any more; what cannot be said now, the missing heartbeat says."""
        try:
            await self._database.rows(_LEAVE, {"id": self.id})
        except (ServiceUnavailable, psycopg.Error) as failure:
            log.warning("could not sign off: %s", failure)


def _recordset(reports: Mapping[str, tuple[str, str | None]]) -> str:
    rows: list[dict[str, Any]] = [
        {"campaign_id": key, "deployment_id": deployment_id, "error": error}
        for key, (deployment_id, error) in reports.items()
    ]
    return orjson.dumps(rows).decode()
