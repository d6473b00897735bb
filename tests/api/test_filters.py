"""Filters as boto3 meets them: made, described, listed, deleted, refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine

from pipelines.quotas import Quotas
from pipelines.registry import store
from pipelines.settings import Settings
from plugins.control_plane.app import create_app
from tests.api.conftest import client_for, serving
from tests.support.group import ROLE, Group, make_version, refused, schema_text

SEEN = 'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("*")'
CHEAP = "INCLUDE ItemID WHERE Items.PRICE < $MAX"


@pytest.fixture
def items(personalize: Any, group: Group) -> str:
    """The ARN of an Items dataset of the group with 25 prices, a genre and a text."""
    fields = [{"name": "ITEM_ID", "type": "string"}, {"name": "PRICE", "type": "float"}]
    fields += [{"name": f"P{number}", "type": "int"} for number in range(24)]
    fields += [{"name": "GENRES", "type": "string", "categorical": True}]
    schema = personalize.create_schema(name="items", schema=schema_text(fields, "Items"))["schemaArn"]
    made = personalize.create_dataset(name="items", datasetType="ITEMS", datasetGroupArn=group.arn, schemaArn=schema)
    return str(made["datasetArn"])


def create(personalize: Any, group: Group, name: str, expression: str = SEEN, **more: Any) -> str:
    made = personalize.create_filter(name=name, datasetGroupArn=group.arn, filterExpression=expression, **more)
    return str(made["filterArn"])


def test_a_filter_is_described_as_it_was_made(personalize, group: Group) -> None:
    arn = create(personalize, group, "seen", tags=[{"tagKey": "team", "tagValue": "shop"}])
    assert arn == "arn:aws:personalize:us-east-1:123456789012:filter/seen"
    shown = personalize.describe_filter(filterArn=arn)["filter"]
    assert shown["creationDateTime"] <= shown["lastUpdatedDateTime"]
    assert {key: shown[key] for key in ("name", "filterArn", "datasetGroupArn", "filterExpression", "status")} == {
        "name": "seen",
        "filterArn": arn,
        "datasetGroupArn": group.arn,
        "filterExpression": SEEN,
        "status": "ACTIVE",
    }


def test_filters_are_listed_newest_first_of_a_group_or_all_in_pages(personalize, group: Group) -> None:
    names = ["f0", "f1", "f2"]
    for name in names:
        create(personalize, group, name)
    other = personalize.create_dataset_group(name="other")["datasetGroupArn"]
    pages = personalize.get_paginator("list_filters").paginate(
        datasetGroupArn=group.arn, PaginationConfig={"PageSize": 2}
    )
    found = list(pages)
    assert [[one["name"] for one in page["Filters"]] for page in found] == [["f2", "f1"], ["f0"]]
    assert {*found[0]["Filters"][0]} >= {"name", "filterArn", "datasetGroupArn", "status", "creationDateTime"}
    assert "filterExpression" not in found[0]["Filters"][0]
    assert personalize.list_filters(datasetGroupArn=other)["Filters"] == []
    assert len(personalize.list_filters()["Filters"]) == 3


def test_a_deleted_filter_is_being_deleted(personalize, group: Group) -> None:
    arn = create(personalize, group, "seen")
    personalize.delete_filter(filterArn=arn)
    assert personalize.describe_filter(filterArn=arn)["filter"]["status"] == "DELETE PENDING"
    assert refused(personalize.delete_filter, filterArn=arn)[0] == "ResourceInUseException"


def test_a_batch_job_that_is_under_way_keeps_its_filter(
    personalize, group: Group, db: Engine, move: Callable[..., store.Resource]
) -> None:
    arn, version = create(personalize, group, "seen"), make_version(personalize, group, "taste", move)
    with db.begin() as conn:
        of = store.get(conn, arn=version)
        assert of is not None
        job = store.insert(
            conn,
            kind="BatchInferenceJob",
            arn=version.replace(":solution/", ":batch-inference-job/"),
            name="nightly",
            status=store.CREATE_IN_PROGRESS,
            group_id=of.group_id,
            parent_id=of.id,
            doc={"filterArn": arn, "roleArn": ROLE},
        )
    code, message = refused(personalize.delete_filter, filterArn=arn)
    assert code == "ResourceInUseException"
    assert job.arn in message
    move(job.arn, status=store.ACTIVE)
    personalize.delete_filter(filterArn=arn)


def test_an_error_of_the_expression_reaches_the_client_with_its_caret(personalize, group: Group) -> None:
    code, message = refused(create, personalize=personalize, group=group, name="f", expression=SEEN.replace("IN", "~"))
    assert code == "InvalidInputException"
    assert message.endswith(f"{SEEN.replace('IN', '~')}\n{' ' * 45}^")
    assert message.startswith("Could not create filter. Invalid expression at character 46: ~ is nothing that")
    code, message = refused(create, personalize=personalize, group=group, name="f", expression=CHEAP)
    assert (code, "the dataset group has no Items dataset" in message) == ("InvalidInputException", True)
    assert personalize.list_filters()["Filters"] == []


def test_the_group_must_be_there_and_the_name_free(personalize, group: Group) -> None:
    create(personalize, group, "seen")
    assert refused(create, personalize=personalize, group=group, name="seen")[0] == "ResourceAlreadyExistsException"
    gone = replace(group, arn=group.arn + "-gone")
    assert refused(create, personalize=personalize, group=gone, name="f")[0] == "ResourceNotFoundException"
    missing = "arn:aws:personalize:us-east-1:123456789012:filter/none"
    assert refused(personalize.describe_filter, filterArn=missing)[0] == "ResourceNotFoundException"
    assert refused(personalize.delete_filter, filterArn=missing)[0] == "ResourceNotFoundException"


def test_a_filter_stays_when_its_dataset_gets_columns_or_goes(personalize, group: Group, items: str) -> None:
    arn = create(personalize, group, "cheap", CHEAP)
    before = personalize.describe_filter(filterArn=arn)["filter"]
    personalize.delete_dataset(datasetArn=items)
    assert personalize.describe_filter(filterArn=arn)["filter"] == before


@pytest.mark.usefixtures("items")
def test_fields_are_limited_in_a_filter_and_in_a_group(settings: Settings, group: Group) -> None:
    def of(*numbers: int) -> str:
        return "EXCLUDE ItemID WHERE " + " OR ".join(f"Items.P{number} = {number}" for number in numbers)

    with serving(
        create_app(replace(settings, quotas=Quotas.read("fields_per_filter=4,filter_fields_per_group=6")))
    ) as url:
        personalize = client_for(url)
        create(personalize, group, "f1", of(1, 2, 3, 4, 1))
        code, message = refused(create, personalize=personalize, group=group, name="f2", expression=of(1, 2, 3, 4, 5))
        assert (code, "One filter would use 5 distinct fields; at most 4" in message) == (
            "LimitExceededException",
            True,
        )
        second = create(personalize, group, "f2", of(3, 4, 5, 6))
        code, message = refused(create, personalize=personalize, group=group, name="f3", expression=of(7))
        assert code == "LimitExceededException"
        assert message.endswith(
            "at most 6 are allowed. The quota is filter_fields_per_group of OPENPERSONALIZE_QUOTAS."
        )
        personalize.delete_filter(filterArn=second)
        create(personalize, group, "f3", of(7))
