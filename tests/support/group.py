"""A dataset group with an Interactions dataset, made through boto3, and what schemas are made of."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::123456789012:role/personalize"
RECIPE = "arn:aws:personalize:::recipe/aws-"
USER_PERSONALIZATION = RECIPE + "user-personalization"
INTERACTIONS = [
    {"name": "USER_ID", "type": "string"},
    {"name": "ITEM_ID", "type": "string"},
    {"name": "TIMESTAMP", "type": "long"},
]


@dataclass(frozen=True)
class Group:
    """ARNs."""

    arn: str
    schema: str
    dataset: str


def schema_text(fields: Any, name: Any = "Interactions") -> str:
    """An Avro record of `fields` as AWS wants it."""
    namespace = "com.amazonaws.personalize.schema"
    return json.dumps({"type": "record", "name": name, "namespace": namespace, "fields": fields, "version": "1.0"})


def make_group(personalize: Any, name: str, columns: Iterable[Any] = (), **group: Any) -> Group:
    """Group `name` with the schema and the empty dataset `<name>-clicks`; `columns` are those beyond EVENT_TYPE."""
    arn = personalize.create_dataset_group(name=name, **group)["datasetGroupArn"]
    fields = [*INTERACTIONS, {"name": "EVENT_TYPE", "type": "string"}, *columns]
    schema = personalize.create_schema(name=f"{name}-clicks", schema=schema_text(fields), **group)["schemaArn"]
    dataset = personalize.create_dataset(
        name=f"{name}-clicks", datasetType="interactions", datasetGroupArn=arn, schemaArn=schema
    )["datasetArn"]
    return Group(arn, schema, dataset)


def make_version(personalize: Any, group: Group, solution: str, move: Any) -> str:
    """The ARN of an ACTIVE version of a solution, which is made if it is not there."""
    arn = group.arn.split(":dataset-group/")[0] + f":solution/{solution}"
    if arn not in [shown["solutionArn"] for shown in personalize.list_solutions()["solutions"]]:
        personalize.create_solution(name=solution, datasetGroupArn=group.arn, recipeArn=USER_PERSONALIZATION)
    version: str = personalize.create_solution_version(solutionArn=arn)["solutionVersionArn"]
    move(version, status="ACTIVE", internal={"metrics": {}})
    return version


def refused(call: Any, **given: Any) -> tuple[str, str]:
    """Code and message of the error that the call answers."""
    with pytest.raises(ClientError) as failure:
        call(**given)
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return failure.value.response["Error"]["Code"], failure.value.response["Error"]["Message"]
