"""What applications do with scores; README shows these functions as they stand here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def good_enough(runtime: Any, campaign: str, user: str) -> list[str]:
    """Relative threshold: items that score at least half as much as the best one."""
    answer = runtime.get_recommendations(campaignArn=campaign, userId=user, context={"minScoreRatio": "0.5"})
    return [item["itemId"] for item in answer["itemList"]]


def confident(runtime: Any, campaign: str, user: str, least: float) -> str | None:
    """High-confidence action: the best item if its probability is at least `least`, else nothing is sent."""
    [best] = runtime.get_recommendations(campaignArn=campaign, userId=user, numResults=1)["itemList"]
    return best["itemId"] if best["score"] >= least else None


def with_sponsored(runtime: Any, ranking: str, user: str, items: Sequence[str], bids: Mapping[str, float]) -> list[str]:
    """Re-ranking with sponsored items: relevance times the bid; an item without a bid has 1."""
    answer = runtime.get_personalized_ranking(campaignArn=ranking, userId=user, inputList=items)
    worth = {one["itemId"]: one.get("score", 0) * bids.get(one["itemId"], 1) for one in answer["personalizedRanking"]}
    return sorted(worth, key=lambda item: worth[item], reverse=True)
