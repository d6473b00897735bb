"""What one version answers to GetRecommendations and GetPersonalizedRanking; its own name is the only campaign."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.aws.errors import AwsError, InvalidInput, ResourceNotFound
from pipelines.serving import calls
from pipelines.serving.recommender import Recommender

OPERATIONS = (calls.GET_RECOMMENDATIONS, calls.GET_PERSONALIZED_RANKING)
NEEDS_PLATFORM = ("filterArn", "filterValues", "promotions", "metadataColumns", "recommenderArn")
"""Members that name resources or data which only the platform's runtime has."""


def answer(recommender: Recommender, operation: str, call: Mapping[str, Any]) -> dict[str, Any]:
    """The members of the answer to a call that satisfies AWS's model; raises InvalidInput or ResourceNotFound."""
    if operation not in OPERATIONS:
        raise InvalidInput(f"{operation} cannot be used: a single version answers {' and '.join(OPERATIONS)} only.")
    calls.check(operation, call)
    for member in NEEDS_PLATFORM:
        if call.get(member):
            failure: type[AwsError] = ResourceNotFound if member.endswith("Arn") else InvalidInput
            raise failure(f"{member} cannot be used: a single version is served here, without the platform around it.")
    asked = calls.asked(recommender.artefact, operation, call)
    return {calls.LISTS[operation]: calls.members(calls.answered(recommender, operation, call, asked))}
