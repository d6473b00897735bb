"""The getting-started flow from schema to campaign and back, with the DAGs' part played by `move`."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from pipelines.registry import store
from pipelines.registry.tables import outbox
from pipelines.registry.tags import tags_of
from tests.support.group import INTERACTIONS, ROLE, USER_PERSONALIZATION, Group, schema_text


def test_a_whole_life(personalize, group: Group, move, db) -> None:
    assert group.arn == "arn:aws:personalize:us-east-1:123456789012:dataset-group/shop"
    assert group.dataset == "arn:aws:personalize:us-east-1:123456789012:dataset/shop/INTERACTIONS"
    dataset = personalize.describe_dataset(datasetArn=group.dataset)["dataset"]
    assert (dataset["status"], dataset["datasetType"], dataset["name"]) == ("ACTIVE", "INTERACTIONS", "shop-clicks")

    job = personalize.create_dataset_import_job(
        jobName="first", datasetArn=group.dataset, dataSource={"dataLocation": "s3://b/clicks.csv"}, roleArn=ROLE
    )["datasetImportJobArn"]
    shown = personalize.describe_dataset_import_job(datasetImportJobArn=job)["datasetImportJob"]
    assert shown["status"] == "CREATE PENDING"
    assert shown["importMode"] == "FULL"
    assert shown["dataSource"] == {"dataLocation": "s3://b/clicks.csv"}
    assert "failureReason" not in shown
    move(job, status="ACTIVE")
    move(group.dataset, internal={"snapshot": {"tag": "data/x/y", "rows": 5}})

    solution = personalize.create_solution(name="taste", datasetGroupArn=group.arn, recipeArn=USER_PERSONALIZATION)[
        "solutionArn"
    ]
    shown = personalize.describe_solution(solutionArn=solution)["solution"]
    assert (shown["status"], shown["performAutoTraining"], shown["solutionConfig"]) == ("ACTIVE", True, {})
    assert "latestSolutionVersion" not in shown

    version = personalize.create_solution_version(solutionArn=solution)["solutionVersionArn"]
    assert re.fullmatch(re.escape(solution) + "/[0-9a-f]{8}", version)
    with pytest.raises(personalize.exceptions.ResourceInUseException, match="CREATE PENDING"):
        personalize.get_solution_metrics(solutionVersionArn=version)
    move(version, status="ACTIVE", doc={"trainingHours": 0.01}, internal={"metrics": {"coverage": 0.5}})
    shown = personalize.describe_solution_version(solutionVersionArn=version)["solutionVersion"]
    assert shown["name"] == version.split(":solution/")[1]
    assert (shown["trainingMode"], shown["trainingType"], shown["trainingHours"]) == ("FULL", "MANUAL", 0.01)
    assert personalize.get_solution_metrics(solutionVersionArn=version)["metrics"] == {"coverage": 0.5}
    latest = personalize.describe_solution(solutionArn=solution)["solution"]["latestSolutionVersion"]
    assert (latest["solutionVersionArn"], latest["status"]) == (version, "ACTIVE")

    campaign = personalize.create_campaign(
        name="front",
        solutionVersionArn=version,
        campaignConfig={"itemExplorationConfig": {"explorationWeight": "0.5"}},
    )["campaignArn"]
    shown = personalize.describe_campaign(campaignArn=campaign)["campaign"]
    assert (shown["status"], shown["minProvisionedTPS"], shown["solutionVersionArn"]) == ("CREATE PENDING", 1, version)
    move(campaign, status="ACTIVE")

    with db.begin() as conn:
        wishes = [(row.dag_id, row.conf["resource_arn"]) for row in conn.execute(select(outbox).order_by("id"))]
    assert wishes == [("dataset_import", job), ("solution_version", version)]

    for call, arn in (
        (personalize.delete_dataset_group, {"datasetGroupArn": group.arn}),
        (personalize.delete_solution, {"solutionArn": solution}),
        (personalize.delete_schema, {"schemaArn": group.schema}),
    ):
        with pytest.raises(personalize.exceptions.ResourceInUseException):
            call(**arn)
    personalize.delete_campaign(campaignArn=campaign)
    assert personalize.describe_campaign(campaignArn=campaign)["campaign"]["status"] == "DELETE PENDING"
    with pytest.raises(personalize.exceptions.ResourceInUseException, match="DELETE PENDING"):
        personalize.delete_campaign(campaignArn=campaign)
    personalize.delete_solution(solutionArn=solution)
    personalize.delete_dataset(datasetArn=group.dataset)
    personalize.delete_schema(schemaArn=group.schema)
    with pytest.raises(personalize.exceptions.ResourceNotFoundException):
        personalize.describe_schema(schemaArn=group.schema)
    personalize.delete_dataset_group(datasetGroupArn=group.arn)
    assert personalize.describe_dataset_group(datasetGroupArn=group.arn)["datasetGroup"]["status"] == "DELETE PENDING"


def test_every_resource_remembers_the_request_that_made_it(personalize, db) -> None:
    made = personalize.create_dataset_group(name="traced")
    with db.begin() as conn:
        row = store.get(conn, arn=made["datasetGroupArn"])
    assert row is not None
    assert row.request_id == made["ResponseMetadata"]["RequestId"]


def test_tags_given_at_creation_are_stored(personalize, db) -> None:
    tags = [{"tagKey": "team", "tagValue": "möbel"}, {"tagKey": "empty", "tagValue": ""}]
    arn = personalize.create_dataset_group(name="tagged", tags=tags)["datasetGroupArn"]
    with db.begin() as conn:
        row = store.get(conn, arn=arn)
        assert row is not None
        assert tags_of(conn, row.id) == {"team": "möbel", "empty": ""}


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ([{"tagKey": f"k{i}", "tagValue": "v"} for i in range(51)], "TooManyTagsException"),
        ([{"tagKey": "a", "tagValue": "1"}, {"tagKey": "a", "tagValue": "2"}], "InvalidInputException"),
        ([{"tagKey": "aws:x", "tagValue": "1"}], "InvalidInputException"),
        ([{"tagKey": "a!", "tagValue": "1"}], "ValidationException"),
    ],
)
def test_tags_that_cannot_be_used_are_refused_and_nothing_is_made(personalize, tags, code: str) -> None:
    with pytest.raises(personalize.exceptions.ClientError) as refused:
        personalize.create_dataset_group(name="untagged", tags=tags)
    assert refused.value.response["Error"]["Code"] == code
    assert personalize.list_dataset_groups()["datasetGroups"] == []


def test_a_name_is_taken_once_per_type(personalize, group: Group) -> None:
    exists = personalize.exceptions.ResourceAlreadyExistsException
    with pytest.raises(exists, match="dataset-group/shop"):
        personalize.create_dataset_group(name="shop")
    with pytest.raises(exists):
        personalize.create_schema(name="shop-clicks", schema=schema_text(INTERACTIONS))
    personalize.create_solution(name="shop", datasetGroupArn=group.arn, recipeArn=USER_PERSONALIZATION)
    with pytest.raises(exists):
        personalize.create_solution(name="shop", datasetGroupArn=group.arn, recipeArn=USER_PERSONALIZATION)
