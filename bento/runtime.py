"""One worker of the runtime, from the first connection to the last: what it consists of and in which order it starts.

Database          a few connections to PostgreSQL
Access            who may ask
Campaigns         what is served here, following the registry
Worker            heartbeat and reports to the registry
EventLog          PutEvents
ActionEvents      PutActionInteractions
Records           PutItems, PutUsers, PutActions
Histories         what was streamed of users
Items             what Items datasets say by now, following them
ItemMetadata      metadata columns of answers
Filters           filters of requests, read once and worked out once a version
Recommendations   GetRecommendations, GetPersonalizedRanking
Served            what was answered, written behind
Audit             what was changed with which key, written behind
Metrics           counters
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from threading import Event
from typing import TYPE_CHECKING, Any

from bento import not_yet
from bento.access import Access
from bento.action_events import ActionEvents
from bento.audit import Audit
from bento.campaigns import Campaigns
from bento.database import Database
from bento.deployments import Version
from bento.events import EventLog
from bento.filters import Filters
from bento.histories import Histories
from bento.item_metadata import ItemMetadata
from bento.items import Items
from bento.recommendations import Recommendations
from bento.records import Records
from bento.served import Served
from bento.worker import Worker
from pipelines.aws.errors import ServiceUnavailable
from pipelines.settings import Settings

if TYPE_CHECKING:
    from pipelines.serving.item_table import ItemTable, Moment
    from pipelines.serving.recommender import Recommender

NO_CAMPAIGN = "-"
"""The label of a request that is for no campaign that exists."""
START_PATIENCE = 30.0
"""Longest that a starting worker keeps from answering while it loads; the others answer meanwhile."""

log = logging.getLogger("openpersonalize.runtime")


class Runtime:
    """An open worker; made inside its event loop."""

    def __init__(self, settings: Settings) -> None:
        from bento.metrics import Metrics

        self.region = settings.region
        self.metrics = Metrics()
        self._database = Database(settings.database_url)
        self.access = Access(self._database, settings)
        self.audit = Audit(self._database)
        self._campaigns = Campaigns(self._database, lambda version, stop: load(settings, version, stop))
        self._worker = Worker(self._database, self._campaigns, self._count_campaigns)
        self._served = Served(self._database, self.metrics.dropped)
        self._events = EventLog(self._database, self.metrics.events)
        self._action_events = ActionEvents(self._database, self.metrics.action_events)
        self._records = Records(self._database, self.metrics.records)
        self._items = Items(
            self._database, self._campaigns, lambda dataset, wanted, stop: fetch_items(settings, dataset, wanted, stop)
        )
        self._recommendations = Recommendations(
            Histories(self._database),
            self._campaigns,
            Filters(self._database, self._items),
            ItemMetadata(self._database, self._items),
            self._served,
        )
        self._started = False
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Connect, load what is being served, start what runs beside the requests.

        Without the database it opens all the same, not ready: requests are told to come again until it is there.
        """
        await self._database.open()
        try:
            await self._start()
        except ServiceUnavailable as failure:
            log.warning("started without the database: %s", failure.message)
        beside = (self._campaigns.poll, self._items.run, self._worker.run, self._served.run)
        for run in (*beside, self.access.run, self.audit.run):
            self._tasks.append(asyncio.create_task(_keep_running(run)))

    async def close(self) -> None:
        """Write what is still to be written and sign off."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._items.close()
        await self._campaigns.close()
        self._recommendations.close()
        try:
            await self._served.flush()
        except ServiceUnavailable as failure:
            log.warning("the last answers are not recorded: %s", failure.message)
        await self.audit.write()
        await self._worker.leave()
        await self._database.close()

    async def is_ready(self) -> bool:
        """Whether the registry has been read once and the database answers now."""
        try:
            if not self._started:
                await self._start()
            await self._database.rows("SELECT 1")
        except ServiceUnavailable:
            return False
        return True

    async def operate(self, operation: str, call: dict[str, Any], request_id: str, now: float) -> dict[str, Any] | None:
        """Answer one well-formed request; raises AwsError."""
        match operation:
            case "GetRecommendations" | "GetPersonalizedRanking":
                return await self._recommendations.answer(operation, call, request_id, now)
            case "PutEvents":
                await self._events.put(call, now)
            case "PutActionInteractions":
                await self._action_events.put(call, now)
            case _ if operation in not_yet.OPERATIONS:
                await not_yet.recommend_actions(self._campaigns, call)
            case _:
                await self._records.put(operation, call)
        return None

    def campaign_label(self, arn: str | None) -> str:
        """The campaign's name, if it exists, for log lines and counters."""
        return (self._campaigns.name_of(arn) if arn else None) or NO_CAMPAIGN

    async def _start(self) -> None:
        await self._worker.enter()
        await self._campaigns.start(START_PATIENCE)
        self._started = True

    def _count_campaigns(self) -> None:
        self.metrics.loaded(self._campaigns.loaded_count)


def load(settings: Settings, version: Version, stop: Event) -> Recommender:
    """A version's reader, with every page touched that the first request needs; runs in a thread."""
    from pipelines.serving import local
    from pipelines.serving.artefact import Artefact
    from pipelines.serving.asked import Asked
    from pipelines.serving.recommender import Recommender

    recommender = Recommender(
        Artefact.open(local.fetch(settings, version.solution_id, version.id, version.edition, stop))
    )
    artefact = recommender.artefact
    user, item = (table.id(0) if len(table) else "" for table in (artefact.users, artefact.items))
    recommender.recommend(Asked(user, item_id=item), 25)
    return recommender


def fetch_items(settings: Settings, dataset_id: str, wanted: Moment, stop: Event) -> ItemTable:
    """What an Items dataset says; runs in a thread."""
    from pipelines.serving import local_items

    return local_items.fetch_items(settings, dataset_id, wanted, stop)


async def _keep_running(run: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await run()
        except Exception:  # a defect in one loop must not leave the worker deaf without a word
            log.exception("%s failed and starts again", getattr(run, "__qualname__", run))
            await asyncio.sleep(1)
