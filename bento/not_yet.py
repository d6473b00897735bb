"""An operation that boto3 knows and that is not available yet: refused with a type, after the usual checks.

An unknown ARN is ResourceNotFound here as everywhere, so a caller with a typing error learns that first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bento.campaigns import Campaigns
from pipelines.aws.errors import InvalidInput

OPERATIONS = frozenset({"GetActionRecommendations"})


async def recommend_actions(campaigns: Campaigns, call: Mapping[str, Any]) -> None:
    """GetActionRecommendations: no campaign can run the recipe that it needs."""
    if "campaignArn" not in call:
        raise InvalidInput("campaignArn is required.")
    await campaigns.find(call["campaignArn"])
    raise InvalidInput(
        "GetActionRecommendations is not available yet: it needs a campaign of type PERSONALIZED_ACTIONS, "
        "and this campaign is not one."
    )
