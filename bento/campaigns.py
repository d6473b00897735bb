"""What this worker serves: campaign ARN -> loaded version, replaced as a whole so that no request sees half a change.

A campaign's wanted version is fetched, mapped and warmed in a thread while the old one goes on answering; then one
dict takes the place of another, so a version and the campaignConfig that it is to be served with change at once. A
request keeps what it looked up. Campaigns on one version share its artefact; a
version that nobody serves any more is dropped. A load that fails leaves what was there and is reported.

The challenger of an experiment is loaded with the version beside which it is to be served, as one step: a worker has
both or reports why not. Only after a restart may it have the version alone, and then it goes on trying: an experiment of
weeks must not end because a disk was away for a minute.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING

import orjson

from bento import deployments
from bento.database import Database, Row
from bento.deployments import Campaign, Deployed, Version
from bento.outage import Outage
from bento.routes import Failure, Loaded, Route, Step, lacks_challenger, next_steps
from pipelines.aws.errors import ResourceNotFound, ServiceUnavailable

if TYPE_CHECKING:
    from pipelines.serving.recommender import Recommender

POLL_SECONDS = 0.2
STALE_SECONDS = 1.0
"""Without a poll for so long, a request looks at the registry itself before it trusts what is loaded."""
LOAD_PATIENCE = 3.0
"""Longest that a request waits for a campaign that this worker is just loading."""
RETRY_SECONDS = 5.0

Load = Callable[[Version, Event], "Recommender"]
"""Fetch, open and warm a version; runs in a thread, and ends early when the event is set."""

log = logging.getLogger("openpersonalize.campaigns")


class Campaigns:
    """The campaigns as this worker knows them; `routes` is only ever replaced, never changed."""

    def __init__(self, database: Database, load: Load) -> None:
        self.routes: dict[str, Route] = {}
        self.changed = asyncio.Event()
        """Set when there is something new to report."""
        self._database = database
        self._load = load
        self._fingerprint: list[Row] | None = None
        self._read_from = self._read_at = -STALE_SECONDS
        self._reading = asyncio.Lock()
        self._settling: dict[str, asyncio.Task[None]] = {}
        self._versions: dict[Version, asyncio.Task[Recommender]] = {}
        self._failures: dict[Step, Failure] = {}
        self._stop = Event()

    # What requests ask ----------------------------------------------------------------------------------

    async def find(self, arn: str) -> tuple[Campaign, Loaded]:
        """An ACTIVE campaign and what answers for it; raises ResourceNotFound or ServiceUnavailable."""
        route = self.routes.get(arn)
        # A campaign may have become ACTIVE since the last poll: its creator has seen that and calls at once.
        if route is None or not route.campaign.is_active or monotonic() - self._read_at > STALE_SECONDS:
            await self.refresh()
            route = self.routes.get(arn)
        if route is None:
            raise ResourceNotFound(f"Campaign {arn} does not exist.")
        if not route.campaign.is_active:
            raise ResourceNotFound(f"Campaign {arn} is {route.campaign.status}; it answers once it is ACTIVE.")
        if route.loaded is None:
            await self._wait_for(route.campaign)
            route = self.routes.get(arn, route)
        if route.loaded is None:
            raise ServiceUnavailable(f"Campaign {arn} is being loaded, try again.{self._why_not(route.campaign)}")
        return route.campaign, route.loaded

    def current(self, arn: str) -> tuple[Campaign, Loaded] | None:
        """The campaign and what answers for it at this very moment."""
        route = self.routes.get(arn)
        return (route.campaign, route.loaded) if route and route.loaded else None

    def name_of(self, arn: str) -> str | None:
        """The name of a campaign that exists, for logs and counters."""
        route = self.routes.get(arn)
        return route.campaign.name if route else None

    # What the worker does beside them -------------------------------------------------------------------

    async def start(self, patience: float) -> None:
        """Read the registry and load what was being served; goes on after `patience` seconds at the latest."""
        await self.refresh()
        if self._settling:
            await asyncio.wait(self._settling.values(), timeout=patience)

    async def poll(self) -> None:
        """Follow the registry until cancelled."""
        outage = Outage(log, "campaigns are not followed")
        while True:
            await asyncio.sleep(POLL_SECONDS)
            with outage.noted():
                await self.refresh()

    async def close(self) -> None:
        self._stop.set()
        tasks = [*self._settling.values(), *self._versions.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def refresh(self) -> None:
        """Bring `routes` up to the registry; callers who wait at the same time share one look."""
        asked_at = monotonic()
        async with self._reading:
            if self._read_from >= asked_at:
                return
            read_from = monotonic()
            seen = await deployments.fingerprint(self._database)
            if seen != self._fingerprint:
                self._follow(await deployments.campaigns(self._database))
                self._fingerprint = seen
            self._read_from, self._read_at = read_from, monotonic()
        self._settle_all()

    @property
    def reports(self) -> dict[str, tuple[str, str | None]]:
        """Campaign id -> (deployment id, None or why it cannot be served here)."""
        found: dict[str, tuple[str, str | None]] = {
            route.campaign.id: (route.loaded.deployment_id, None)
            for route in self.routes.values()
            if route.loaded and route.loaded.deployment_id
        }
        wanted = {(route.campaign.id, route.campaign.deployment_id) for route in self.routes.values()}
        for step, failure in self._failures.items():
            if step.deployment_id and (step.campaign_id, step.deployment_id) in wanted:
                found[step.campaign_id] = (step.deployment_id, failure.message)
        return found

    @property
    def loaded_count(self) -> int:
        return sum(route.loaded is not None for route in self.routes.values())

    # Loading --------------------------------------------------------------------------------------------

    def _follow(self, campaigns: Sequence[Campaign]) -> None:
        old = {route.campaign.id: route.loaded for route in self.routes.values()}
        self._swap({c.arn: Route(c, None if c.is_ended else old.get(c.id)) for c in campaigns})
        possible = {
            step for c in campaigns for step in (Step(c.id, c.deployment_id, c.wanted), Step(c.id, "", c.serving))
        }
        self._failures = {step: failure for step, failure in self._failures.items() if step in possible}

    def _settle_all(self) -> None:
        for arn, route in self.routes.items():
            if route.campaign.id not in self._settling and self._next_step(route) is not None:
                task = asyncio.create_task(self._settle(arn))
                self._settling[route.campaign.id] = task
                task.add_done_callback(partial(self._settled, route.campaign.id))

    def _settled(self, campaign_id: str, _: asyncio.Task[None]) -> None:
        self._settling.pop(campaign_id, None)

    async def _settle(self, arn: str) -> None:
        """Take steps until the campaign serves what it should, or cannot."""
        while (route := self.routes.get(arn)) is not None and (step := self._next_step(route)) is not None:
            try:
                loaded = await self._loaded(step)
            except asyncio.CancelledError:
                raise
            except Exception as failure:  # noqa: BLE001 (whatever is wrong with one version must not end the others)
                log.warning("campaign %s stays on what it has: %s", route.campaign.name, failure)
                message = f"{type(failure).__name__}: {failure}"[:1000]
                self._failures[step] = Failure(message, monotonic() + RETRY_SECONDS)
            else:
                self._serve(arn, step, loaded)
            self.changed.set()

    async def _loaded(self, step: Step) -> Loaded:
        wanted = step.wanted
        if wanted is None:
            raise LookupError("the solution version does not exist any more")
        config = orjson.loads(wanted.config)
        recommender = await self._recommender(wanted.version)
        challenger = None
        if wanted.challenger is not None:
            deployed = Deployed(wanted.challenger, wanted.config)
            challenger = Loaded(deployed, step.deployment_id, await self._recommender(deployed.version), config)
        return Loaded(wanted, step.deployment_id, recommender, config, challenger)

    def _serve(self, arn: str, step: Step, loaded: Loaded) -> None:
        route = self.routes.get(arn)
        if route is None or step not in set(next_steps(route)):
            self._swap(self.routes)  # the campaign was deleted, or wants something else by now
            return
        self._failures.pop(step, None)
        self._swap({**self.routes, arn: Route(route.campaign, loaded)})
        log.info("campaign %s serves solution version %s", route.campaign.name, loaded.version.arn)

    def _next_step(self, route: Route) -> Step | None:
        for step in next_steps(route):
            failure = self._failures.get(step)
            # Only what was accepted once is tried again: a failed update has been answered as failed.
            again = route.campaign.is_active and (route.loaded is None or lacks_challenger(route))
            if failure is None or (again and monotonic() >= failure.retry_at):
                return step
        return None

    def _why_not(self, campaign: Campaign) -> str:
        return "".join(
            f" {failure.message}" for step, failure in self._failures.items() if step.campaign_id == campaign.id
        )

    async def _recommender(self, version: Version) -> Recommender:
        task = self._versions.get(version)
        if task is None:
            task = asyncio.create_task(asyncio.to_thread(self._load, version, self._stop))
            self._versions[version] = task
        try:
            return await asyncio.shield(task)
        except Exception:
            if self._versions.get(version) is task:
                del self._versions[version]
            raise

    def _swap(self, routes: dict[str, Route]) -> None:
        self.routes = routes
        serving = [route.loaded for route in routes.values() if route.loaded]
        used = {one.version for loaded in serving for one in (loaded, loaded.challenger) if one}
        for version in [key for key, task in self._versions.items() if task.done() and key not in used]:
            del self._versions[version]

    async def _wait_for(self, campaign: Campaign) -> None:
        task = self._settling.get(campaign.id)
        if task is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(task), LOAD_PATIENCE)
