"""Operations that boto3 knows and that are not available yet: refused with a type, after the usual checks.

An unknown ARN is ResourceNotFound here as everywhere, so a caller with a typing error learns that first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bento.campaigns import Campaigns
from bento.database import Database
from pipelines.aws.errors import InvalidInput, ResourceNotFound

_EXISTS = """
SELECT 1 FROM openpersonalize.resources
WHERE kind = 'Dataset' AND arn = %(arn)s AND status NOT IN ('DELETE PENDING', 'DELETE IN_PROGRESS')
"""


async def recommend_actions(campaigns: Campaigns, call: Mapping[str, Any]) -> None:
    """GetActionRecommendations: no campaign can run the recipe that it needs."""
    if "campaignArn" not in call:
        raise InvalidInput("campaignArn is required.")
    await campaigns.find(call["campaignArn"])
    raise InvalidInput(
        "GetActionRecommendations is not available yet: it needs a campaign of type PERSONALIZED_ACTIONS, "
        "and this campaign is not one."
    )


async def put_records(database: Database, operation: str, call: Mapping[str, Any]) -> None:
    """PutItems, PutUsers, PutActions: only imports fill these data sets for now."""
    if not await database.rows(_EXISTS, {"arn": call["datasetArn"]}):
        raise ResourceNotFound(f"Dataset {call['datasetArn']} does not exist.")
    raise InvalidInput(f"{operation} is not available yet: import a file with CreateDatasetImportJob instead.")


async def put_action_interactions(call: Mapping[str, Any]) -> None:
    """PutActionInteractions: its trackingId belongs to a kind of data set that does not exist yet."""
    raise ResourceNotFound(
        f"trackingId {call['trackingId']!r} is not that of an Action_Interactions dataset, which are not available yet."
    )
