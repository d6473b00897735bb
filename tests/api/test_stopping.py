"""StopSolutionVersionCreation through boto3. `move` and `step` are the parts of DAG and reconciler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipelines.platform.stopping import end_stopped
from pipelines.settings import Settings
from tests.support.group import Group, make_version, refused


@pytest.fixture
def version(personalize: Any, group: Group, move: Any) -> str:
    """CREATE PENDING."""
    arn = make_version(personalize, group, "likes", move)
    move(arn, status="CREATE PENDING")
    return arn


@pytest.fixture
def step(db: Any, settings: Settings) -> Callable[[], int]:
    def once() -> int:
        with db.connect() as conn:
            return end_stopped(conn, settings)

    return once


def status(personalize: Any, arn: str) -> str:
    shown = personalize.describe_solution_version(solutionVersionArn=arn)["solutionVersion"]
    assert "failureReason" not in shown
    return str(shown["status"])


def test_what_has_not_begun_is_stopped_at_once(personalize: Any, version: str) -> None:
    personalize.stop_solution_version_creation(solutionVersionArn=version)
    assert status(personalize, version) == "CREATE STOPPED"


def test_what_has_begun_is_stopped_when_nobody_works_on_it(
    personalize: Any, version: str, move: Any, step: Any
) -> None:
    move(version, status="CREATE IN_PROGRESS")
    personalize.stop_solution_version_creation(solutionVersionArn=version)
    assert status(personalize, version) == "CREATE STOPPING"
    solution = version.rpartition("/")[0]
    assert refused(personalize.delete_solution, solutionArn=solution)[0] == "ResourceInUseException"
    assert (step(), step()) == (1, 0)
    assert status(personalize, version) == "CREATE STOPPED"


def test_nothing_else_can_be_stopped(personalize: Any, version: str, move: Any) -> None:
    for at in ("CREATE STOPPING", "CREATE STOPPED", "ACTIVE", "CREATE FAILED", "DELETE PENDING"):
        move(version, status=at)
        code, message = refused(personalize.stop_solution_version_creation, solutionVersionArn=version)
        assert (code, f"is {at};" in message) == ("ResourceInUseException", True)
        assert status(personalize, version) == at


def test_a_stopped_version_is_of_no_use_and_holds_up_nothing(personalize: Any, group: Group, version: str) -> None:
    personalize.stop_solution_version_creation(solutionVersionArn=version)
    solution = version.rpartition("/")[0]
    code, message = refused(personalize.get_solution_metrics, solutionVersionArn=version)
    assert (code, "was stopped" in message) == ("InvalidInputException", True)
    campaign = personalize.create_campaign
    assert refused(campaign, name="c", solutionVersionArn=version)[0] == "ResourceInUseException"
    assert refused(campaign, name="c", solutionVersionArn=f"{solution}/$LATEST")[0] == "InvalidInputException"
    update = {"solutionArn": solution, "trainingMode": "UPDATE"}
    assert refused(personalize.create_solution_version, **update)[0] == "InvalidInputException"
    [shown] = personalize.list_solution_versions(solutionArn=solution)["solutionVersions"]
    assert (shown["solutionVersionArn"], shown["status"]) == (version, "CREATE STOPPED")
    latest = personalize.describe_solution(solutionArn=solution)["solution"]["latestSolutionVersion"]
    assert latest["status"] == "CREATE STOPPED"
    # A new one can be trained, and the solution deleted.
    again = personalize.create_solution_version(solutionArn=solution)["solutionVersionArn"]
    personalize.stop_solution_version_creation(solutionVersionArn=again)
    personalize.delete_solution(solutionArn=solution)


def test_a_version_that_is_not_there_cannot_be_stopped(personalize: Any, group: Group) -> None:
    gone = group.arn.replace("dataset-group/shop", "solution/likes/01234567")
    assert (
        refused(personalize.stop_solution_version_creation, solutionVersionArn=gone)[0] == "ResourceNotFoundException"
    )
    assert refused(personalize.stop_solution_version_creation, solutionVersionArn=group.arn)[0] == (
        "ResourceNotFoundException"
    )
