"""UpdateDataset: the schema of Items and Users is replaced by a wider one, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from pipelines.registry import store
from tests.support.group import ROLE, USER_PERSONALIZATION, Group, make_group, refused, schema_text

ITEM, PRICE = {"name": "ITEM_ID", "type": "string"}, {"name": "PRICE", "type": ["null", "float"]}
TITLE = {"name": "TITLE", "type": ["null", "string"]}


def items(personalize: Any, group: Group, **domain: Any) -> str:
    """The ARN of an Items dataset with ITEM_ID and PRICE."""
    schema = make_schema(personalize, "narrow", [ITEM, PRICE], **domain)
    given = {"name": "items", "datasetType": "ITEMS", "datasetGroupArn": group.arn, "schemaArn": schema}
    arn: str = personalize.create_dataset(**given)["datasetArn"]
    return arn


def make_schema(personalize: Any, name: str, fields: list[dict[str, Any]], kind: str = "Items", **domain: Any) -> str:
    arn: str = personalize.create_schema(name=name, schema=schema_text(fields, kind), **domain)["schemaArn"]
    return arn


def test_a_schema_is_replaced_and_the_old_one_is_free(personalize, group: Group) -> None:
    dataset = items(personalize, group)
    wide = make_schema(personalize, "wide", [ITEM, PRICE, TITLE])
    assert personalize.update_dataset(datasetArn=dataset, schemaArn=wide)["datasetArn"] == dataset
    shown = personalize.describe_dataset(datasetArn=dataset)["dataset"]
    latest = shown["latestDatasetUpdate"]
    assert (shown["schemaArn"], shown["status"]) == (wide, "ACTIVE")
    assert (latest["schemaArn"], latest["status"]) == (wide, "ACTIVE")
    assert latest["creationDateTime"] == latest["lastUpdatedDateTime"] >= shown["creationDateTime"]
    assert refused(personalize.delete_schema, schemaArn=wide)[0] == "ResourceInUseException"
    personalize.delete_schema(schemaArn=wide.replace("wide", "narrow"))


def test_a_dataset_that_was_never_updated_shows_no_update(personalize, group: Group) -> None:
    shown = personalize.describe_dataset(datasetArn=items(personalize, group))["dataset"]
    assert "latestDatasetUpdate" not in shown


def test_the_same_schema_again_is_fine(personalize, group: Group) -> None:
    dataset = items(personalize, group)
    schema = personalize.describe_dataset(datasetArn=dataset)["dataset"]["schemaArn"]
    personalize.update_dataset(datasetArn=dataset, schemaArn=schema)
    latest = personalize.describe_dataset(datasetArn=dataset)["dataset"]["latestDatasetUpdate"]
    assert (latest["schemaArn"], latest["status"]) == (schema, "ACTIVE")


@pytest.mark.parametrize(
    ("fields", "kind", "said"),
    [
        ([ITEM, TITLE], "Items", "field PRICE: is missing"),
        ([ITEM, {"name": "PRICE", "type": "float"}], "Items", "field PRICE: is float;"),
        ([{"name": "USER_ID", "type": "string"}, PRICE], "Users", "the schema's name says USERS"),
    ],
)
def test_a_schema_that_does_not_fit_is_refused_and_changes_nothing(personalize, group, fields, kind, said) -> None:
    dataset = items(personalize, group)
    before = personalize.describe_dataset(datasetArn=dataset)["dataset"]
    other = make_schema(personalize, "other", fields, kind)
    code, message = refused(personalize.update_dataset, datasetArn=dataset, schemaArn=other)
    assert (code, said in message) == ("InvalidInputException", True)
    assert personalize.describe_dataset(datasetArn=dataset)["dataset"] == before


def test_the_schemas_domain_is_the_groups(personalize, group: Group) -> None:
    dataset = items(personalize, group)
    fields = [ITEM, PRICE, {"name": "CATEGORY_L1", "type": "string", "categorical": True}]
    shop = make_schema(personalize, "shop", fields, domain="ECOMMERCE")
    code, message = refused(personalize.update_dataset, datasetArn=dataset, schemaArn=shop)
    assert (code, "ECOMMERCE" in message) == ("InvalidInputException", True)


def test_the_schema_of_interactions_stays(personalize, group: Group) -> None:
    code, message = refused(personalize.update_dataset, datasetArn=group.dataset, schemaArn=group.schema)
    assert (code, "INTERACTIONS cannot be replaced" in message) == ("InvalidInputException", True)


def test_unknown_dataset_or_schema_is_not_found(personalize, group: Group) -> None:
    dataset = items(personalize, group)
    schema = personalize.describe_dataset(datasetArn=dataset)["dataset"]["schemaArn"]
    for given in (
        {"datasetArn": dataset.replace("ITEMS", "USERS"), "schemaArn": schema},
        {"datasetArn": dataset, "schemaArn": schema + "x"},
        {"datasetArn": group.arn, "schemaArn": schema},
    ):
        assert refused(personalize.update_dataset, **given)[0] == "ResourceNotFoundException"


def test_a_dataset_is_not_changed_while_it_is_imported_or_deleted(personalize, group: Group, move) -> None:
    dataset = items(personalize, group)
    wide = make_schema(personalize, "wide", [ITEM, PRICE, TITLE])
    job = personalize.create_dataset_import_job(
        jobName="j", datasetArn=dataset, dataSource={"dataLocation": "s3://b/k"}, roleArn=ROLE
    )["datasetImportJobArn"]
    for status in ("CREATE PENDING", "CREATE IN_PROGRESS"):
        move(job, status=status)
        code, message = refused(personalize.update_dataset, datasetArn=dataset, schemaArn=wide)
        assert (code, job in message) == ("ResourceInUseException", True)
    move(job, status="CREATE FAILED")
    personalize.update_dataset(datasetArn=dataset, schemaArn=wide)
    move(dataset, status="DELETE PENDING")
    assert refused(personalize.update_dataset, datasetArn=dataset, schemaArn=wide)[0] == "ResourceInUseException"


def test_a_solution_remembers_the_columns_of_its_creation(personalize, group: Group, db: Engine) -> None:
    dataset = items(personalize, group)

    def columns(solution: str) -> Any:
        arn = personalize.create_solution(name=solution, datasetGroupArn=group.arn, recipeArn=USER_PERSONALIZATION)
        with db.begin() as conn:
            found = store.get(conn, arn=arn["solutionArn"])
            assert found is not None
            return found.internal["columns"]

    events = ["USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE"]
    assert columns("before") == {"INTERACTIONS": events, "ITEMS": ["ITEM_ID", "PRICE"]}
    wide = make_schema(personalize, "wide", [ITEM, PRICE, TITLE])
    personalize.update_dataset(datasetArn=dataset, schemaArn=wide)
    assert columns("after") == {"INTERACTIONS": events, "ITEMS": ["ITEM_ID", "PRICE", "TITLE"]}


def test_a_schema_is_at_most_20000_characters_long(personalize) -> None:
    text = schema_text([ITEM, PRICE], "Items")
    personalize.create_schema(name="longest", schema=text + " " * (20_000 - len(text)))
    assert refused(personalize.create_schema, name="longer", schema=text + " " * (20_001 - len(text)))[0] in (
        "InvalidInputException",
        "ValidationException",
    )


def test_there_are_at_most_500_schemas(personalize, db: Engine) -> None:
    make_group(personalize, "first")
    with db.begin() as conn:
        for number in range(499):
            store.insert(conn, kind="Schema", arn=f"arn:schema/{number}", name=str(number), status=None, doc={})
    code, message = refused(personalize.create_schema, name="last", schema=schema_text([ITEM, PRICE], "Items"))
    assert (code, message[:37]) == ("LimitExceededException", "Cannot create a schema. More than 500")
