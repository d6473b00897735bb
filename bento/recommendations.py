"""GetRecommendations and GetPersonalizedRanking: what is known of the user, the version's answer, what is remembered of it.

Members have been checked against botocore's model before; what follows from the version's recipe is in
pipelines/serving/calls.py, what needs the platform is here. A user's streamed events and newest record are read from
PostgreSQL for every request, so what was answered with 200 counts at once, whichever worker took it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bento.campaigns import Campaigns
from bento.deployments import Campaign
from bento.experiments import assigned
from bento.filters import Chosen, Filters
from bento.histories import Histories, Wanted
from bento.item_metadata import ItemMetadata
from bento.routes import Loaded
from bento.served import Served, exploration_columns
from pipelines.aws.errors import InvalidInput, ResourceNotFound
from pipelines.datasets.schema import property_name
from pipelines.serving import calls
from pipelines.serving.arms import Arm, new_recommendation_id
from pipelines.serving.asked import Asked

if TYPE_CHECKING:
    from pipelines.serving.exploration import Exploration
    from pipelines.serving.recommender import Scored
    from pipelines.serving.touching import TypedEvents

INLINE_ITEMS = 50_000
"""Catalogues up to this size are scored in the event loop: a hop to a thread costs more than their scores."""


@dataclass(frozen=True, slots=True)
class Promoted:
    """The promotion of a request."""

    name: str
    percent: int
    chosen: Chosen


class Recommendations:
    """Answers of one worker."""

    def __init__(
        self, histories: Histories, campaigns: Campaigns, filters: Filters, metadata: ItemMetadata, served: Served
    ) -> None:
        self._histories = histories
        self._filters = filters
        self._metadata = metadata
        self._campaigns = campaigns
        self._served = served
        # One thread: two would share the one core that a worker has.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scores")

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def answer(self, operation: str, call: Mapping[str, Any], request_id: str, now: float) -> dict[str, Any]:
        """The answer to either operation; raises InvalidInput, ResourceNotFound or ServiceUnavailable."""
        calls.check(operation, call)
        arn = _campaign_arn(call)
        campaign, loaded = await self._campaigns.find(arn)
        columns = await self._metadata.columns(call, campaign.group_id, loaded)
        chosen, promoted = await self._filters.chosen(call, campaign), await self._promoted(call, campaign)
        asked, loaded, arm = await self._ask(operation, call, campaign, loaded, chosen, promoted, now)
        recommendation_id = new_recommendation_id(arm)
        asked = replace(asked, exploration=exploration_of(loaded), seed=recommendation_id, now=now)
        scored = await self._score(operation, call, loaded, asked)
        self._served.add(
            {
                "served_at": now,
                "recommendation_id": recommendation_id,
                "campaign_id": campaign.id,
                "solution_version_id": loaded.version.id,
                "user_id": call.get("userId"),
                "items": [item.item_id for item in scored],
                "request_id": request_id,
                # What a threshold has cut off was not in the list at any weight: that list tells nothing of others.
                **exploration_columns(None if asked.min_score_ratio else asked.exploration, scored),
                **({"experiment_id": arm.experiment_id, "arm": arm.name} if arm else {}),
            }
        )
        items = calls.members(scored)
        if columns is not None:
            items = await self._metadata.of(columns, items)
        return {calls.LISTS[operation]: items, "recommendationId": recommendation_id}

    async def _ask(
        self,
        operation: str,
        call: Mapping[str, Any],
        campaign: Campaign,
        loaded: Loaded,
        chosen: Chosen | None,
        promoted: Promoted | None,
        now: float,
    ) -> tuple[Asked, Loaded, Arm | None]:
        """What is asked, and of which version and arm: those that serve the user once everything is known.

        Reading what is known of the user takes time in which the campaign may have been swapped. The newest version
        answers, with the events since its own cut-off: nobody may get the old one once the campaign is ACTIVE on the
        new.
        """
        user = call.get("userId")
        loaded, _ = assigned(campaign, loaded, user, now)
        while True:
            asked = calls.asked(loaded.recommender.artefact, operation, call)
            if chosen is None and promoted is None:
                asked = await with_streamed(self._histories, asked, campaign, loaded)
            else:
                asked = await self._filtered(asked, campaign, loaded, chosen, promoted, now)
            current, arm = assigned(*(self._campaigns.current(campaign.arn) or (campaign, loaded)), user, now)
            if current.version == loaded.version:
                return asked, current, arm
            loaded = current

    async def _promoted(self, call: Mapping[str, Any], campaign: Campaign) -> Promoted | None:
        """The promotion of a request, if it has one; raises ResourceNotFound or InvalidInput."""
        if not call.get("promotions"):
            return None
        [given] = call["promotions"]  # the service model allows one
        missing = [name for name in ("name", "percentPromotedItems", "filterArn") if name not in given]
        if missing:
            raise InvalidInput(f"promotions: {missing[0]} is required.")
        chosen = await self._filters.chosen(given, campaign)
        assert chosen is not None
        return Promoted(given["name"], given["percentPromotedItems"], chosen)

    async def _filtered(
        self,
        asked: Asked,
        campaign: Campaign,
        loaded: Loaded,
        chosen: Chosen | None,
        promoted: Promoted | None,
        now: float,
    ) -> Asked:
        """What is asked, with its filters and what was streamed of the user; raises InvalidInput."""
        from pipelines.serving.filtering import FilterAsked, Filtered
        from pipelines.serving.promoting import Promotion

        wanted = [one for one in (chosen, promoted.chosen if promoted else None) if one is not None]
        filterings = [await self._filters.on(one.found, loaded) for one in wanted]
        if any(one.needs_user for one in filterings) and not asked.user_key:
            raise InvalidInput("userId is required: the filter is about what the user did or is.")
        of_user = [column for one in filterings for column in one.user_columns]
        asked = await with_streamed(self._histories, asked, campaign, loaded, of_user)
        events: TypedEvents = ()
        if any(one.reads_events for one in filterings):
            events = await self._histories.typed(_wanted(asked, campaign, loaded))
        filtered = [
            Filtered(filtering, FilterAsked(one.values, asked.user_key, asked.item_id, now, events, asked.user_record))
            for filtering, one in zip(filterings, wanted, strict=True)
        ]
        promotion = Promotion(promoted.name, promoted.percent, filtered[-1]) if promoted else None
        return replace(asked, filtered=filtered[0] if chosen else None, promotion=promotion)

    async def _score(self, operation: str, call: Mapping[str, Any], loaded: Loaded, asked: Asked) -> Sequence[Scored]:
        recommender = loaded.recommender
        if len(recommender.artefact.items) <= INLINE_ITEMS:
            return calls.answered(recommender, operation, call, asked)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, calls.answered, recommender, operation, call, asked)


async def with_streamed(
    histories: Histories, asked: Asked, campaign: Campaign, loaded: Loaded, of_user: Sequence[str] = ()
) -> Asked:
    """What is asked, with what was streamed of the user since the version's cut-offs; raises ServiceUnavailable.

    `of_user`: columns of the Users dataset that a filter reads beside those that the version does.
    """
    artefact = loaded.recommender.artefact
    columns = {*artefact.user_columns, *of_user}
    if not artefact.is_personal and not columns:
        return asked
    wanted = _wanted(asked, campaign, loaded)
    known = await histories.newest(wanted if columns else wanted._replace(users=None))
    record = known.record
    if record is None:
        return replace(asked, streamed=known.events)
    by_column = {column: record.get(property_name(column)) for column in columns}
    return replace(asked, streamed=known.events, user_record=by_column)


def _wanted(asked: Asked, campaign: Campaign, loaded: Loaded) -> Wanted:
    version = loaded.version
    # What an update wrote says itself what it knows: the registry may be a step ahead of what is loaded, or behind.
    cutoffs = {"events": version.event_cutoff, "users": version.record_cutoff, **loaded.recommender.artefact.cutoffs}
    return Wanted(campaign.group_id, asked.user_key, cutoffs["events"], campaign.users, cutoffs["users"])


def exploration_of(loaded: Loaded) -> Exploration | None:
    """How the deployment explores; None: its version does not."""
    if not loaded.recommender.artefact.explores:
        return None
    from pipelines.serving.exploration import Exploration

    return Exploration.from_config(loaded.config.get("itemExplorationConfig") or {})


def _campaign_arn(call: Mapping[str, Any]) -> str:
    campaign, recommender = call.get("campaignArn"), call.get("recommenderArn")
    if (campaign is None) == (recommender is None):
        given = "none of them" if campaign is None else "both"
        raise InvalidInput(f"Exactly one of campaignArn and recommenderArn is needed, not {given}.")
    if recommender is not None:
        # One that exists has not become ACTIVE: nobody can train it yet (pipelines/platform/unavailable.py).
        raise ResourceNotFound(f"There is no ACTIVE recommender {recommender}: recommenders are not available yet.")
    return str(campaign)
