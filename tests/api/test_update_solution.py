"""UpdateSolution: automatic training on, off and how often, through boto3."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.registry import store
from tests.support.group import USER_PERSONALIZATION, Group, refused


@pytest.fixture
def solution(personalize: Any, group: Group) -> str:
    given = {"name": "taste", "datasetGroupArn": group.arn, "recipeArn": USER_PERSONALIZATION}
    config = {"algorithmHyperParameters": {"hidden_dimension": "64"}}
    arn: str = personalize.create_solution(**given, solutionConfig=config, performAutoTraining=False)["solutionArn"]
    return arn


def shown(personalize: Any, solution: str) -> dict[str, Any]:
    described: dict[str, Any] = personalize.describe_solution(solutionArn=solution)["solution"]
    return described


def test_what_was_asked_for_holds_at_once_and_is_shown(personalize, solution: str) -> None:
    assert "latestSolutionUpdate" not in shown(personalize, solution)
    rate = {"autoTrainingConfig": {"schedulingExpression": "rate(3 days)"}}
    answer = personalize.update_solution(solutionArn=solution, performAutoTraining=True, solutionUpdateConfig=rate)
    assert answer["solutionArn"] == solution
    after = shown(personalize, solution)
    assert after["performAutoTraining"] is True
    assert after["solutionConfig"] == {"algorithmHyperParameters": {"hidden_dimension": "64"}, **rate}
    update = after["latestSolutionUpdate"]
    assert (update["status"], update["performAutoTraining"]) == ("ACTIVE", True)
    assert update["solutionUpdateConfig"] == rate
    assert update["creationDateTime"] == update["lastUpdatedDateTime"]
    assert after["creationDateTime"] < after["lastUpdatedDateTime"]


def test_it_goes_on_without_what_the_update_does_not_name(personalize, solution: str) -> None:
    rate = {"autoTrainingConfig": {"schedulingExpression": "rate(3 days)"}}
    personalize.update_solution(solutionArn=solution, performAutoTraining=True, solutionUpdateConfig=rate)
    personalize.update_solution(solutionArn=solution, performAutoTraining=False)
    after = shown(personalize, solution)
    assert (after["performAutoTraining"], after["solutionConfig"]["autoTrainingConfig"]["schedulingExpression"]) == (
        False,
        "rate(3 days)",
    )
    assert "solutionUpdateConfig" not in after["latestSolutionUpdate"]


def test_the_clock_of_the_first_version_starts_when_it_is_turned_on_and_not_when_it_is_on(
    personalize, solution: str, db
) -> None:
    def since() -> Any:
        with db.begin() as conn:
            found = store.get(conn, arn=solution)
        assert found is not None
        return found.internal.get("auto_training_since")

    assert since() is None
    personalize.update_solution(solutionArn=solution, performAutoTraining=True)
    first = since()
    assert first is not None
    personalize.update_solution(solutionArn=solution, performAutoTraining=True)
    assert since() == first


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "Give what to update"),
        ({"performIncrementalUpdate": True}, "only aws-semantic-similarity"),
        (
            {"solutionUpdateConfig": {"autoTrainingConfig": {"schedulingExpression": "rate(31 days)"}}},
            "solutionUpdateConfig.autoTrainingConfig.schedulingExpression: 'rate(31 days)' must be rate(N days)",
        ),
        (
            {"solutionUpdateConfig": {"eventsConfig": {"eventParametersList": [{"eventType": "watch"}]}}},
            "not available yet: solutionUpdateConfig.eventsConfig",
        ),
    ],
)
def test_what_it_cannot_honour_is_refused_by_name(personalize, solution: str, given, said) -> None:
    code, message = refused(personalize.update_solution, solutionArn=solution, **given)
    assert code == "InvalidInputException"
    assert said in message
    assert "latestSolutionUpdate" not in shown(personalize, solution)


def test_a_solution_that_is_not_there_or_on_its_way_out_cannot_be_updated(personalize, solution: str, move) -> None:
    code, _ = refused(personalize.update_solution, solutionArn=solution + "x", performAutoTraining=True)
    assert code == "ResourceNotFoundException"
    move(solution, status="DELETE PENDING")
    code, _ = refused(personalize.update_solution, solutionArn=solution, performAutoTraining=True)
    assert code == "ResourceInUseException"
