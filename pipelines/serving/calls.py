"""What GetRecommendations and GetPersonalizedRanking ask of a version, and what they answer (spec/runtime.md 2, 3, 5).

Members have been checked against botocore's model before. The rules here follow from the version's recipe; the
platform's runtime and the service of a single version share them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.aws.errors import InvalidInput
from pipelines.serving.asked import Asked

if TYPE_CHECKING:
    from pipelines.serving.artefact import Artefact
    from pipelines.serving.recommender import Recommender, Scored

DEFAULT_RESULTS = 25
MOST_RESULTS = 500

GET_RECOMMENDATIONS = "GetRecommendations"
GET_PERSONALIZED_RANKING = "GetPersonalizedRanking"
RELATED_ITEMS = "RELATED_ITEMS"


def check(operation: str, call: Mapping[str, Any]) -> None:
    """What holds for every version; raises InvalidInput."""
    if operation == GET_PERSONALIZED_RANKING:
        given = len(call["inputList"])
        if not 1 <= given <= MOST_RESULTS:
            raise InvalidInput(f"inputList must hold 1 to {MOST_RESULTS} item ids, not {given}.")
    elif _count(call) > MOST_RESULTS:
        raise InvalidInput(f"numResults must be at most {MOST_RESULTS}, not {_count(call)}.")


def asked(artefact: Artefact, operation: str, call: Mapping[str, Any]) -> Asked:
    """What the call asks of this version; members that its recipe has no use for are ignored. Raises InvalidInput."""
    recipe_type = artefact.recipe_type
    answers = GET_PERSONALIZED_RANKING if recipe_type == "PERSONALIZED_RANKING" else GET_RECOMMENDATIONS
    if operation != answers:
        raise InvalidInput(
            f"{operation} is not for this campaign: its solution version is of type {recipe_type}, "
            f"which answers {answers} only."
        )
    needed = "itemId" if recipe_type == RELATED_ITEMS else "userId" if artefact.is_personal else None
    if needed is not None and call.get(needed) is None:
        raise InvalidInput(f"{needed} is required: the solution version's recipe is of type {recipe_type}.")
    return Asked(call.get("userId") or "", item_id=call.get("itemId"), context=call.get("context") or {})


def answered(recommender: Recommender, operation: str, call: Mapping[str, Any], asked: Asked) -> Sequence[Scored]:
    """The items of the answer, best first."""
    if operation == GET_PERSONALIZED_RANKING:
        return recommender.rank(asked, call["inputList"])
    return recommender.recommend(asked, _count(call))


def members(operation: str, scored: Sequence[Scored]) -> dict[str, Any]:
    """The answer's list as AWS writes it: an item without a score has no such member."""
    items = [
        {
            "itemId": one.item_id,
            **({} if one.score is None else {"score": one.score}),
            **({} if one.promotion is None else {"promotionName": one.promotion}),
        }
        for one in scored
    ]
    return {"personalizedRanking" if operation == GET_PERSONALIZED_RANKING else "itemList": items}


def _count(call: Mapping[str, Any]) -> int:
    """numResults; 0 is taken as not given (spec/runtime.md 2)."""
    return int(call.get("numResults") or DEFAULT_RESULTS)
