"""GetRecommendations and GetPersonalizedRanking: rules of the request, the user's newest events, scores.

Members have been checked against botocore's model before; what follows from spec/runtime.md sections 2, 3 and 5 is
checked here. The user's streamed events are read from PostgreSQL for every request, so an event that was answered
with 200 counts at once, whichever worker took it.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from bento.campaigns import Campaigns, Loaded
from bento.deployments import Campaign
from bento.histories import Histories
from bento.served import Served
from pipelines.aws.errors import InvalidInput, ResourceNotFound
from pipelines.serving.asked import Asked

if TYPE_CHECKING:
    from pipelines.serving.recommender import Recommender, Scored

DEFAULT_RESULTS = 25
MOST_RESULTS = 500
INLINE_ITEMS = 50_000
"""Catalogues up to this size are scored in the event loop: a hop to a thread costs more than their scores."""

USER_PERSONALIZATION = "USER_PERSONALIZATION"
PERSONALIZED_RANKING = "PERSONALIZED_RANKING"

Score = Callable[["Recommender", Sequence[tuple[str, float]]], list["Scored"]]


class Recommendations:
    """Answers of one worker."""

    def __init__(self, histories: Histories, campaigns: Campaigns, served: Served) -> None:
        self._histories = histories
        self._campaigns = campaigns
        self._served = served
        # One thread: two would share the one core that a worker has.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scores")

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def recommend(self, call: Mapping[str, Any], request_id: str, now: float) -> dict[str, Any]:
        """The answer to GetRecommendations; raises InvalidInput, ResourceNotFound or ServiceUnavailable."""
        count = _count(call)
        arn = _campaign_arn(call)
        _check_not_yet(call)
        campaign, loaded = await self._campaigns.find(arn)
        _check_recipe(loaded, USER_PERSONALIZATION, "GetPersonalizedRanking")
        user = call.get("userId")
        if user is None:
            raise InvalidInput("userId is required: the campaign's recipe is of type USER_PERSONALIZATION.")
        scored, version_id = await self._score(
            campaign, loaded, user, lambda recommender, events: recommender.recommend(Asked(user, events), count)
        )
        recommendation_id = self._remember(campaign, version_id, user, scored, request_id, now)
        return {"itemList": _items(scored), "recommendationId": recommendation_id}

    async def rank(self, call: Mapping[str, Any], request_id: str, now: float) -> dict[str, Any]:
        """The answer to GetPersonalizedRanking; raises InvalidInput, ResourceNotFound or ServiceUnavailable."""
        items = call["inputList"]
        if not 1 <= len(items) <= MOST_RESULTS:
            raise InvalidInput(f"inputList must hold 1 to {MOST_RESULTS} item ids, not {len(items)}.")
        _check_not_yet(call)
        campaign, loaded = await self._campaigns.find(call["campaignArn"])
        _check_recipe(loaded, PERSONALIZED_RANKING, "GetRecommendations")
        user = call["userId"]
        scored, version_id = await self._score(
            campaign, loaded, user, lambda recommender, events: recommender.rank(Asked(user, events), items)
        )
        recommendation_id = self._remember(campaign, version_id, user, scored, request_id, now)
        return {"personalizedRanking": _items(scored), "recommendationId": recommendation_id}

    async def _score(self, campaign: Campaign, loaded: Loaded, user: str, score: Score) -> tuple[list[Scored], str]:
        """Scores by the version that serves at the moment of scoring, and that version's id.

        Reading the history takes time in which the campaign may have been swapped. The newest version answers, with
        the events since its own cut-off: nobody may get the old one once the campaign is ACTIVE on the new.
        """
        while True:
            events = await self._histories.newest(campaign.group_id, user, loaded.version.event_cutoff)
            current = self._campaigns.current(campaign.arn) or loaded
            if current.version == loaded.version:
                break
            loaded = current
        if len(loaded.recommender.artefact.items) <= INLINE_ITEMS:
            return score(loaded.recommender, events), loaded.version.id
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, score, loaded.recommender, events), loaded.version.id

    def _remember(
        self, campaign: Campaign, version_id: str, user: str, scored: list[Scored], request_id: str, now: float
    ) -> str:
        recommendation_id = f"RID-{uuid.uuid4()}"
        self._served.add(
            {
                "served_at": now,
                "recommendation_id": recommendation_id,
                "campaign_id": campaign.id,
                "solution_version_id": version_id,
                "user_id": user,
                "items": [item.item_id for item in scored],
                "request_id": request_id,
            }
        )
        return recommendation_id


def _count(call: Mapping[str, Any]) -> int:
    count = call.get("numResults", 0) or DEFAULT_RESULTS
    if count > MOST_RESULTS:
        raise InvalidInput(f"numResults must be at most {MOST_RESULTS}, not {count}.")
    return int(count)


def _campaign_arn(call: Mapping[str, Any]) -> str:
    campaign, recommender = call.get("campaignArn"), call.get("recommenderArn")
    if (campaign is None) == (recommender is None):
        given = "none of them" if campaign is None else "both"
        raise InvalidInput(f"Exactly one of campaignArn and recommenderArn is needed, not {given}.")
    if recommender is not None:
        raise ResourceNotFound(f"Recommender {recommender} does not exist.")
    return str(campaign)


def _check_not_yet(call: Mapping[str, Any]) -> None:
    """Members that need what does not exist yet: refused by name rather than ignored."""
    if "filterArn" in call:
        raise ResourceNotFound(f"Filter {call['filterArn']} does not exist.")
    if "filterValues" in call:
        raise InvalidInput("filterValues is given without a filterArn.")
    if call.get("promotions"):
        raise InvalidInput("promotions are not available yet: a promotion needs a filter.")
    if call.get("metadataColumns"):
        raise InvalidInput(
            "metadataColumns cannot be used: the campaign does not have enableMetadataWithRecommendations."
        )


def _check_recipe(loaded: Loaded, wanted: str, instead: str) -> None:
    recipe_type = loaded.recommender.artefact.recipe_type
    if recipe_type != wanted:
        raise InvalidInput(
            f"The campaign's recipe is of type {recipe_type}, this operation needs {wanted}. Use {instead}."
        )


def _items(scored: list[Scored]) -> list[dict[str, Any]]:
    return [{"itemId": item_id} if score is None else {"itemId": item_id, "score": score} for item_id, score in scored]
