"""What SUPPORTED.md says is refused, is: every member by a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipelines.platform import supported
from tests.support.group import RECIPE, ROLE, USER_PERSONALIZATION, Group, make_version, refused

MEMBERS = {(name, one.member) for one in supported.refused_members() for name in one.operations}
EVENTS_CONFIG = {"eventsConfig": {"eventParametersList": [{"eventType": "buy", "weight": 1.0}]}}
ASKED: dict[str, dict[str, Any]] = {
    "batchInferenceJobConfig.rankingInfluence": {"batchInferenceJobConfig": {"rankingInfluence": {"POPULARITY": 0.5}}},
    "batchInferenceJobMode THEME_GENERATION": {"batchInferenceJobMode": "THEME_GENERATION"},
    "campaignConfig.rankingInfluence": {"campaignConfig": {"rankingInfluence": {"POPULARITY": 0.5}}},
    "performAutoML": {"performAutoML": True},
    "performIncrementalUpdate": {"performIncrementalUpdate": True},
    "solutionConfig.eventsConfig": {"solutionConfig": EVENTS_CONFIG},
    "solutionConfig.optimizationObjective": {
        "solutionConfig": {"optimizationObjective": {"itemAttribute": "PRICE", "objectiveSensitivity": "LOW"}}
    },
    "solutionUpdateConfig.eventsConfig": {"solutionUpdateConfig": EVENTS_CONFIG},
}
"""By member, what asks for it."""


@pytest.fixture
def otherwise_right(personalize: Any, group: Group, move: Callable[..., Any]) -> dict[str, dict[str, Any]]:
    """By operation, a request that would be accepted."""
    version = make_version(personalize, group, "taste", move)
    campaign = personalize.create_campaign(name="home", solutionVersionArn=version)["campaignArn"]
    move(campaign, status="ACTIVE")
    similar = personalize.create_solution(
        name="similar", datasetGroupArn=group.arn, recipeArn=RECIPE + "semantic-similarity"
    )["solutionArn"]
    themes = make_version(personalize, group, "themes", move)
    move(themes, doc={"recipeArn": RECIPE + "similar-items"})
    places = {
        "jobInput": {"s3DataSource": {"path": "s3://b/in.json"}},
        "jobOutput": {"s3DataDestination": {"path": "s3://b/out/"}},
    }
    return {
        "CreateCampaign": {"name": "new", "solutionVersionArn": version},
        "UpdateCampaign": {"campaignArn": campaign},
        "CreateSolution": {"name": "new", "datasetGroupArn": group.arn, "recipeArn": USER_PERSONALIZATION},
        "UpdateSolution": {"solutionArn": similar},
        "CreateDatasetImportJob": {
            "jobName": "new",
            "datasetArn": group.dataset,
            "dataSource": {"dataLocation": "s3://b/k"},
        },
        "CreateBatchInferenceJob": {"jobName": "new", "solutionVersionArn": themes, "roleArn": ROLE, **places},
    }


def test_every_member_that_is_said_to_be_refused_is(
    personalize: Any, otherwise_right: dict[str, dict[str, Any]]
) -> None:
    assert MEMBERS
    for operation, member in sorted(MEMBERS):
        given = {**otherwise_right[operation], **ASKED[member]}
        if member == "performAutoML":
            del given["recipeArn"]
        if (operation, member) == ("CreateSolution", "performIncrementalUpdate"):
            given["recipeArn"] = RECIPE + "semantic-similarity"
        code, message = refused(getattr(personalize, _method(operation)), **given)
        assert (code, message) == ("InvalidInputException", f"not available yet: {member}"), operation


def _method(operation: str) -> str:
    from botocore import xform_name

    return str(xform_name(operation))
