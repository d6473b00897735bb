"""Schemas: each rule of spec/datasets.md section 2, and that a refusal names the field."""

from __future__ import annotations

import json

import pytest

from pipelines.aws.errors import InvalidInput
from pipelines.control import avro
from tests.support.group import INTERACTIONS, schema_text

VIDEO, SHOP = "VIDEO_ON_DEMAND", "ECOMMERCE"
USER, ITEM = {"name": "USER_ID", "type": "string"}, {"name": "ITEM_ID", "type": "string"}


def field(name: str, type_="string", **more):
    return {"name": name, "type": type_, **more}


def category(name: str):
    return field(name, categorical=True)


CREATED = field("CREATION_TIMESTAMP", "long")


@pytest.mark.parametrize(
    ("fields", "name", "domain"),
    [
        (INTERACTIONS, "Interactions", None),
        (
            [*INTERACTIONS, field("EVENT_VALUE", ["null", "float"]), field("IMPRESSION", ["string", "null"])],
            "Interactions",
            None,
        ),
        ([*INTERACTIONS, field("EVENT_TYPE")], "interactions", VIDEO),
        ([USER, field("AGE", "int")], "Users", None),
        ([{"name": "USER_ID", "type": ["string"]}, field("AGE", ["int", "null"])], "Users", None),
        ([ITEM, category("GENRES"), field("PLOT", textual=True), field("NAME", itemName=True)], "Items", None),
        ([ITEM, CREATED], "Items", None),
        ([ITEM, category("GENRES"), CREATED, field("PRICE", ["float", "null"])], "Items", VIDEO),
        ([ITEM, category("GENRES_L1"), CREATED], "Items", VIDEO),
        ([ITEM, field("PRICE", "float"), category("CATEGORY_L1")], "Items", SHOP),
        ([{"name": "ACTION_ID", "type": "string"}, field("VALUE", "int")], "Actions", None),
    ],
)
def test_schemas_that_are_right(fields, name: str, domain: str | None) -> None:
    avro.check(schema_text(fields, name), domain)


@pytest.mark.parametrize(
    ("fields", "name", "domain", "said"),
    [
        (INTERACTIONS[:2], "Interactions", None, "required field missing: TIMESTAMP"),
        (INTERACTIONS, "Interactions", VIDEO, "required field missing: EVENT_TYPE"),
        ([USER], "Users", None, "at least one metadata field"),
        ([ITEM, CREATED, field("X", "int")], "Items", VIDEO, "GENRES or GENRES_L1"),
        ([ITEM, field("PRICE", "float")], "Items", SHOP, "required field missing: CATEGORY_L1"),
        ([*INTERACTIONS, field("X")], "Movies", None, "name is 'Movies'"),
        ([*INTERACTIONS, field("X")], 3, None, "name is 3"),
        ([ITEM, field("X", "decimal")], "Items", None, "field X: type is 'decimal'"),
        ([ITEM, field("X", "null")], "Items", None, "field X: type is 'null'"),
        ([ITEM, field("X", ["null", "int", "string"])], "Items", None, "field X: type is"),
        ([ITEM, field("X", ["null", "null"])], "Items", None, "field X: type is"),
        ([ITEM, field("X", {"type": "array", "items": "int"})], "Items", None, "field X: type is"),
        ([ITEM, {"name": "X"}], "Items", None, "field X: type is None"),
        ([ITEM, field("1X", "int")], "Items", None, "fields[1]: name is '1X'"),
        ([ITEM, field("X" * 151, "int")], "Items", None, "at most 150"),
        ([ITEM, "X"], "Items", None, "fields[1]: name is None"),
        ([ITEM, field("GENRES_L_1"), field("GENRESL1")], "Items", None, "field GENRESL1: clashes with GENRES_L_1"),
        ([ITEM, field("A"), field("a")], "Items", None, "field a: clashes with A"),
        ([field("ITEM_ID", "int"), field("A")], "Items", None, "field ITEM_ID: must have the type string, not int"),
        ([field("ITEM_ID", ["string", "null"]), field("A")], "Items", None, "field ITEM_ID: is required in every row"),
        ([category("ITEM_ID"), field("A")], "Items", None, 'field ITEM_ID: must not be "categorical": true'),
        ([*INTERACTIONS, category("EVENT_TYPE")], "Interactions", None, 'EVENT_TYPE: must not be "categorical"'),
        (
            [*INTERACTIONS, field("EVENT_VALUE", "string")],
            "Interactions",
            None,
            "EVENT_VALUE: must have the type float",
        ),
        ([ITEM, field("GENRES"), CREATED], "Items", VIDEO, 'field GENRES: must be "categorical": true'),
        ([ITEM, field("X", "int", categorical=True)], "Items", None, "field X: categorical needs the type string"),
        ([ITEM, field("X", categorical="yes")], "Items", None, "field X: categorical must be true or false"),
        ([ITEM, field("X", categorical=True, textual=True)], "Items", None, "categorical and textual at once"),
        ([ITEM, field("X", textual=True), field("Y", textual=True)], "Items", None, "field Y: only one field"),
        ([USER, field("X", textual=True)], "Users", None, "field X: textual is allowed in schemas of Items only"),
        (
            [*INTERACTIONS, *(field(f"X{i}x", "int") for i in range(6))],
            "Interactions",
            None,
            "6 metadata fields; at most 5",
        ),
        ([USER, *(field(f"X{i}x", "int") for i in range(26))], "Users", None, "26 metadata fields; at most 25"),
        ([USER, field("X", "int")], "Actions", VIDEO, "has no Actions dataset"),
        ([], "Items", None, "fields must be a list with at least one field"),
        ("ITEM_ID", "Items", None, "fields must be a list"),
    ],
)
def test_schemas_that_are_wrong_are_refused_by_field_and_rule(fields, name, domain, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        avro.check(schema_text(fields, name), domain)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "schema", ["nope", "[]", "3", '{"name": "x"}', '{"type": "enum", "name": "Items"}', json.dumps("x")]
)
def test_what_is_no_record_is_refused(schema: str) -> None:
    with pytest.raises(InvalidInput, match=r"^schema: "):
        avro.check(schema, None)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("Interactions", "INTERACTIONS"), ("users", "USERS"), ("ActionInteractions", "ACTION_INTERACTIONS")],
)
def test_the_records_name_says_the_dataset_type(name: str, kind: str) -> None:
    assert avro.dataset_type(schema_text(INTERACTIONS, name)) == kind
