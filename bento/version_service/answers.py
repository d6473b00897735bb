"""What one version answers to GetRecommendations and GetPersonalizedRanking; its own name is the only campaign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.aws.errors import AwsError, InvalidInput, ResourceNotFound
from pipelines.serving.asked import Asked
from pipelines.serving.recommender import Recommender, Scored

DEFAULT_RESULTS = 25
MOST_RESULTS = 500
OPERATIONS = {"USER_PERSONALIZATION": "GetRecommendations", "PERSONALIZED_RANKING": "GetPersonalizedRanking"}
NEEDS_PLATFORM = ("filterArn", "filterValues", "promotions", "metadataColumns", "recommenderArn")
"""Members that name resources or data which only the platform's runtime has."""


def answer(recommender: Recommender, operation: str, call: Mapping[str, Any]) -> dict[str, Any]:
    """The members of the answer to a call that satisfies AWS's model; raises InvalidInput or ResourceNotFound."""
    _check(recommender, operation, call)
    if operation == "GetPersonalizedRanking":
        if not call["inputList"]:
            raise InvalidInput("inputList must hold at least one item id.")
        return {"personalizedRanking": _items(recommender.rank(Asked(call["userId"]), call["inputList"]))}
    if call.get("userId") is None:
        raise InvalidInput("userId is required: the version's recipe is of type USER_PERSONALIZATION.")
    count = call.get("numResults", 0) or DEFAULT_RESULTS
    if count > MOST_RESULTS:
        raise InvalidInput(f"numResults must be at most {MOST_RESULTS}, not {count}.")
    return {"itemList": _items(recommender.recommend(Asked(call["userId"]), int(count)))}


def _check(recommender: Recommender, operation: str, call: Mapping[str, Any]) -> None:
    wanted = OPERATIONS.get(recommender.artefact.recipe_type)
    if operation != wanted:
        raise InvalidInput(f"This version is of type {recommender.artefact.recipe_type}; it answers {wanted} only.")
    for member in NEEDS_PLATFORM:
        if call.get(member):
            failure: type[AwsError] = ResourceNotFound if member.endswith("Arn") else InvalidInput
            raise failure(f"{member} cannot be used: a single version is served here, without the platform around it.")


def _items(scored: Sequence[Scored]) -> list[dict[str, Any]]:
    return [{"itemId": item} if score is None else {"itemId": item, "score": score} for item, score in scored]
