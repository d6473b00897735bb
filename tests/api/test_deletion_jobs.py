"""Data deletion jobs through boto3: what is refused at once, and how a job is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipelines.registry import store
from pipelines.settings import Settings
from tests.support.group import ROLE, Group, make_version, refused


@pytest.fixture
def given(group: Group, settings: Settings) -> dict[str, Any]:
    """A request that is accepted."""
    location = (settings.import_roots[0] / "users.csv").as_uri()
    return {"datasetGroupArn": group.arn, "dataSource": {"dataLocation": location}, "roleArn": ROLE}


def test_a_job_is_pending_and_shown_as_aws_does(personalize: Any, given: dict[str, Any]) -> None:
    tags = [{"tagKey": "why", "tagValue": "asked"}]
    arn = personalize.create_data_deletion_job(jobName="forget", tags=tags, **given)["dataDeletionJobArn"]
    job = personalize.describe_data_deletion_job(dataDeletionJobArn=arn)["dataDeletionJob"]
    assert arn.endswith(":data-deletion-job/forget")
    assert job.pop("creationDateTime") <= job.pop("lastUpdatedDateTime")
    assert job == {"jobName": "forget", "dataDeletionJobArn": arn, "status": "PENDING", **given}


def test_jobs_are_listed_newest_first_by_group(personalize: Any, given: dict[str, Any], group: Group) -> None:
    for name in ("first", "second"):
        personalize.create_data_deletion_job(jobName=name, **given)
    shown = personalize.list_data_deletion_jobs(datasetGroupArn=group.arn)["dataDeletionJobs"]
    other = personalize.create_dataset_group(name="other")["datasetGroupArn"]
    assert [job["jobName"] for job in shown] == ["second", "first"]
    assert personalize.list_data_deletion_jobs(datasetGroupArn=other)["dataDeletionJobs"] == []


def test_the_sixth_unfinished_job_of_a_group_is_one_too_many(
    personalize: Any, given: dict[str, Any], move: Callable[..., store.Resource]
) -> None:
    arns = [personalize.create_data_deletion_job(jobName=f"j{n}", **given)["dataDeletionJobArn"] for n in range(5)]
    code, message = refused(personalize.create_data_deletion_job, jobName="j5", **given)
    assert code == "LimitExceededException"
    assert message.startswith("More than 5 resources with PENDING or IN_PROGRESS status.")
    other = personalize.create_dataset_group(name="other")["datasetGroupArn"]
    personalize.create_data_deletion_job(jobName="elsewhere", **{**given, "datasetGroupArn": other})
    move(arns[0], status=store.COMPLETED)
    personalize.create_data_deletion_job(jobName="j6", **given)


def test_a_place_outside_the_roots_is_refused(personalize: Any, given: dict[str, Any]) -> None:
    for location in ("file:///etc/passwd", "http://host/users.csv"):
        code, message = refused(
            personalize.create_data_deletion_job, jobName="j", **{**given, "dataSource": {"dataLocation": location}}
        )
        assert code == "InvalidInputException" and message.startswith("Invalid Data location.")
    code, message = refused(personalize.create_data_deletion_job, jobName="j", **{**given, "dataSource": {}})
    assert (code, message) == ("InvalidInputException", "dataSource.dataLocation is missing.")


def test_the_group_must_exist_and_be_active(
    personalize: Any, given: dict[str, Any], group: Group, move: Callable[..., store.Resource]
) -> None:
    code, _ = refused(
        personalize.create_data_deletion_job, jobName="j", **{**given, "datasetGroupArn": group.arn + "-other"}
    )
    assert code == "ResourceNotFoundException"
    move(group.arn, status=store.CREATE_PENDING)
    code, message = refused(personalize.create_data_deletion_job, jobName="j", **given)
    assert code == "ResourceInUseException" and "must be ACTIVE" in message


def test_a_name_is_given_once(personalize: Any, given: dict[str, Any]) -> None:
    personalize.create_data_deletion_job(jobName="j", **given)
    assert refused(personalize.create_data_deletion_job, jobName="j", **given)[0] == "ResourceAlreadyExistsException"


def test_what_has_been_deleted_is_shown_when_it_is_done(
    personalize: Any, given: dict[str, Any], move: Callable[..., store.Resource]
) -> None:
    arn = personalize.create_data_deletion_job(jobName="j", **given)["dataDeletionJobArn"]
    move(arn, status=store.COMPLETED, doc={"numDeleted": 7})
    assert personalize.describe_data_deletion_job(dataDeletionJobArn=arn)["dataDeletionJob"]["numDeleted"] == 7


def test_a_version_that_went_with_deleted_users_cannot_be_deployed_any_more(
    personalize: Any, group: Group, move: Callable[..., store.Resource]
) -> None:
    served, dropped = (make_version(personalize, group, "taste", move) for _ in range(2))
    campaign = personalize.create_campaign(name="home", solutionVersionArn=served)["campaignArn"]
    move(campaign, status="ACTIVE")
    move(dropped, internal={"dropped": True})
    latest = dropped.rpartition("/")[0] + "/$LATEST"
    for call, given in (
        (personalize.create_campaign, {"name": "other", "solutionVersionArn": dropped}),
        (personalize.create_campaign, {"name": "other", "solutionVersionArn": latest}),
        (personalize.update_campaign, {"campaignArn": campaign, "solutionVersionArn": dropped}),
    ):
        code, message = refused(call, **given)
        assert code == "InvalidInputException" and "create a new solution version" in message
