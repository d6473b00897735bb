"""What GetRecommendations and GetPersonalizedRanking ask of a version, and what they answer (spec/runtime.md 2, 3, 5).

Members have been checked against botocore's model before. The rules here follow from the version's recipe; the
platform's runtime and the service of a single version share them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.aws.errors import InvalidInput
from pipelines.aws.numbers import decimal_number
from pipelines.serving.asked import Asked

if TYPE_CHECKING:
    from pipelines.serving.artefact import Artefact
    from pipelines.serving.recommender import Recommender, Scored

DEFAULT_RESULTS = 25
MOST_RESULTS = 500
MOST_WITH_METADATA = 50

GET_RECOMMENDATIONS = "GetRecommendations"
GET_PERSONALIZED_RANKING = "GetPersonalizedRanking"
LISTS = {GET_RECOMMENDATIONS: "itemList", GET_PERSONALIZED_RANKING: "personalizedRanking"}
"""The member of an answer that has its items."""
RELATED_ITEMS = "RELATED_ITEMS"
MIN_SCORE_RATIO = "minScoreRatio"
"""Key of `context`."""


def check(operation: str, call: Mapping[str, Any]) -> None:
    """What holds for every version; raises InvalidInput."""
    most, beside = MOST_RESULTS, ""
    if call.get("metadataColumns"):
        most, beside = MOST_WITH_METADATA, " with metadataColumns"
    if operation == GET_PERSONALIZED_RANKING:
        given = len(call["inputList"])
        if not 1 <= given <= most:
            raise InvalidInput(f"inputList must hold 1 to {most} item ids{beside}, not {given}.")
    elif _count(call) > most:
        raise InvalidInput(f"numResults must be at most {most}{beside}, not {_count(call)}.")


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
    context = call.get("context") or {}
    ratio = _min_score_ratio(artefact, context)
    return Asked(call.get("userId") or "", item_id=call.get("itemId"), context=context, min_score_ratio=ratio)


# Unlike AWS, serving: `minScoreRatio` in a request's `context` leaves only items whose score is at least that share of the
# best one's, and promoted ones. A context key is all that unmodified clients can send for one request: botocore checks
# the members of a call, headers take code in every client, and tags hold for all calls of a campaign. AWS ignores it.
def _min_score_ratio(artefact: Artefact, context: Mapping[str, str]) -> float:
    """What the context says, 0 if nothing; raises InvalidInput. Columns are in capitals, so none is called so."""
    text = context.get(MIN_SCORE_RATIO)
    if text is None:
        return 0.0
    ratio = decimal_number(text)
    if ratio is None or not 0 <= ratio <= 1:
        raise InvalidInput(f"context: {MIN_SCORE_RATIO} must be a number from 0 to 1, not {text!r}.")
    if not artefact.has_scores:
        raise InvalidInput(f"context: {MIN_SCORE_RATIO} cannot be used: the solution version's recipe gives no scores.")
    return ratio


def answered(recommender: Recommender, operation: str, call: Mapping[str, Any], asked: Asked) -> Sequence[Scored]:
    """The items of the answer, best first."""
    if operation == GET_PERSONALIZED_RANKING:
        return recommender.rank(asked, call["inputList"])
    return recommender.recommend(asked, _count(call))


def members(scored: Sequence[Scored]) -> list[dict[str, Any]]:
    """The answer's items as AWS writes them: one without a score has no such member."""
    return [
        {
            "itemId": one.item_id,
            **({} if one.score is None else {"score": one.score}),
            **({} if one.promotion is None else {"promotionName": one.promotion}),
            **({} if one.reason is None else {"reason": [one.reason]}),
        }
        for one in scored
    ]


def _count(call: Mapping[str, Any]) -> int:
    """numResults; 0 is taken as not given (spec/runtime.md 2)."""
    return int(call.get("numResults") or DEFAULT_RESULTS)
