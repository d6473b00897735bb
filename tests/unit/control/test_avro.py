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
ACTION = {"name": "ACTION_ID", "type": "string"}
TAKEN = [USER, ACTION, field("TIMESTAMP", "long"), field("EVENT_TYPE")]
OPTIONAL_STRING = ["null", "string"]
EVENTS = [
    field("EVENT_TYPE"),
    field("EVENT_VALUE", ["float", "null"]),
    *(field(name, OPTIONAL_STRING) for name in ("IMPRESSION", "RECOMMENDATION_ID", "EVENT_ATTRIBUTION_SOURCE")),
]
VIDEO_ITEM, SHOP_ITEM = [ITEM, category("GENRES"), CREATED], [ITEM, field("PRICE", "float"), category("CATEGORY_L1")]
RESERVED_ACTIONS = [
    field("VALUE", ["null", "float"]),
    field("REPEAT_FREQUENCY", "int"),
    field("ACTION_EXPIRATION_TIMESTAMP", ["null", "long"]),
    CREATED,
]


def numbers(count: int):
    return [field(f"N{number:03}", "int") for number in range(count)]


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
        ([ACTION, field("VALUE", "int")], "Actions", None),
        # The most that is allowed of each type, in any order.
        ([*numbers(5), *EVENTS, *INTERACTIONS], "Interactions", None),
        ([*numbers(5), *EVENTS, *INTERACTIONS], "Interactions", SHOP),
        ([*numbers(25), USER], "Users", None),
        ([*numbers(25), category("SUBSCRIPTION_MODEL"), USER], "Users", VIDEO),
        ([*numbers(100), CREATED, ITEM], "Items", None),
        ([*numbers(5), *RESERVED_ACTIONS, ACTION], "Actions", None),
        ([*numbers(30), field("RECOMMENDATION_ID", OPTIONAL_STRING), *TAKEN], "ActionInteractions", None),
        (
            [
                *numbers(100),
                *VIDEO_ITEM,
                *(field(name, ["null", "float"]) for name in ("PRICE", "DURATION", "AVERAGE_RATING")),
                *map(category, ("GENRE_L2", "GENRE_L3", "CONTENT_OWNER", "CONTENT_CLASSIFICATION")),
                field("PRODUCT_DESCRIPTION", OPTIONAL_STRING, textual=True),
            ],
            "Items",
            VIDEO,
        ),
        (
            [
                *numbers(100),
                *SHOP_ITEM,
                CREATED,
                *map(category, ("CATEGORY_L2", "CATEGORY_L3", "AGE_GROUP", "ADULT", "GENDER")),
                field("PRODUCT_DESCRIPTION", OPTIONAL_STRING, textual=True),
            ],
            "Items",
            SHOP,
        ),
        # One metadata field is enough, even if it can be null or is not trained on.
        ([USER, field("X", OPTIONAL_STRING)], "Users", None),
        ([USER, field("MEMBERSHIP_STATUS")], "Users", SHOP),
        ([ITEM, field("X", "boolean")], "Items", None),
        ([ITEM, field("X", "double")], "ITEMS", None),
        # Each way to write a type.
        ([ITEM, field("X", ["string"], categorical=True), field("Y", ["null", "long"])], "Items", None),
        # Names that are reserved elsewhere are anybody's own here.
        ([ITEM, field("GENRES"), field("EVENT_TYPE", "int")], "Items", None),
        ([ACTION, category("KIND")], "Actions", None),
        (TAKEN, "Action_Interactions", None),
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
        (TAKEN, "ActionInteractions", SHOP, "has no ActionInteractions dataset"),
        ([*INTERACTIONS, *EVENTS, *numbers(6)], "Interactions", VIDEO, "6 metadata fields; at most 5"),
        ([ITEM, *numbers(101)], "Items", None, "101 metadata fields; at most 100"),
        ([ACTION, *RESERVED_ACTIONS, *numbers(6)], "Actions", None, "11 fields; at most 10"),
        ([ACTION], "Actions", None, "at least one metadata field"),
        ([ACTION, field("NOTE")], "Actions", None, "categorical or a number"),
        ([ACTION, field("VALUE")], "Actions", None, "VALUE: must have the type int or long or float or double"),
        ([ACTION, field("REPEAT_FREQUENCY", "float")], "Actions", None, "REPEAT_FREQUENCY: must have the type int or"),
        ([ITEM], "Items", None, "at least one metadata field"),
        (TAKEN[:3], "ActionInteractions", None, "required field missing: EVENT_TYPE"),
        ([TAKEN[0], *TAKEN[2:]], "ActionInteractions", None, "required field missing: ACTION_ID"),
        ([*TAKEN[:3], category("EVENT_TYPE")], "ActionInteractions", None, 'EVENT_TYPE: must not be "categorical"'),
        ([*INTERACTIONS, field("IMPRESSION", "int")], "Interactions", None, "IMPRESSION: must have the type string"),
        ([*INTERACTIONS, category("IMPRESSION")], "Interactions", None, 'IMPRESSION: must not be "categorical"'),
        (
            [*INTERACTIONS, field("EVENT_VALUE", "double")],
            "Interactions",
            None,
            "EVENT_VALUE: must have the type float",
        ),
        (
            [*INTERACTIONS, category("RECOMMENDATION_ID")],
            "Interactions",
            None,
            'RECOMMENDATION_ID: must not be "categorical"',
        ),
        (
            [*INTERACTIONS, category("EVENT_ATTRIBUTION_SOURCE")],
            "Interactions",
            None,
            'EVENT_ATTRIBUTION_SOURCE: must not be "categorical"',
        ),
        ([*INTERACTIONS[:2], field("TIMESTAMP", ["null", "long"])], "Interactions", None, "TIMESTAMP: is required in"),
        (
            [*INTERACTIONS, field("EVENT_TYPE", OPTIONAL_STRING)],
            "Interactions",
            SHOP,
            "EVENT_TYPE: is required in every row",
        ),
        ([ITEM, field("CREATION_TIMESTAMP", "float")], "Items", None, "CREATION_TIMESTAMP: must have the type long"),
        ([USER, field("SUBSCRIPTION_MODEL")], "Users", VIDEO, 'SUBSCRIPTION_MODEL: must be "categorical"'),
        ([*VIDEO_ITEM, field("GENRE_L2")], "Items", VIDEO, 'GENRE_L2: must be "categorical"'),
        ([*VIDEO_ITEM, field("DURATION", "int")], "Items", VIDEO, "DURATION: must have the type float"),
        ([*VIDEO_ITEM[:2]], "Items", VIDEO, "required field missing: CREATION_TIMESTAMP"),
        ([*VIDEO_ITEM, field("PRODUCT_DESCRIPTION")], "Items", VIDEO, 'PRODUCT_DESCRIPTION: must be "textual"'),
        ([*SHOP_ITEM, field("ADULT", "boolean")], "Items", SHOP, "ADULT: must have the type string, not boolean"),
        ([ITEM, category("PRICE"), category("CATEGORY_L1")], "Items", SHOP, "PRICE: must have the type float"),
        ([*SHOP_ITEM, field("CREATION_TIMESTAMP", "float")], "Items", SHOP, "must have the type long"),
        ([ITEM, field("X", itemName=True), field("Y", itemName=True)], "Items", None, "field Y: only one field"),
        ([USER, field("X", itemName=True)], "Users", None, "field X: itemName is allowed in schemas of Items only"),
        ([ITEM, field("X", "int", itemName=True)], "Items", None, "field X: itemName needs the type string, not int"),
        ([ITEM, field("X", "long", textual=True)], "Items", None, "field X: textual needs the type string, not long"),
        ([ITEM, field("X", {"type": "map", "values": "int"})], "Items", None, "field X: type is"),
        ([ITEM, field("X", {"type": "enum", "symbols": ["a"]})], "Items", None, "field X: type is"),
        ([ITEM, field("X", ["null", {"type": "record"}])], "Items", None, "field X: type is"),
        ([ITEM, field("X", [])], "Items", None, "field X: type is"),
        ([ITEM, field("X", ["string", "string"])], "Items", None, "field X: type is"),
        ([ITEM, ITEM], "Items", None, "field ITEM_ID: clashes with ITEM_ID"),
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


def test_a_namespace_is_any_text_or_missing() -> None:
    document = json.loads(schema_text([ITEM, field("X", "int")], "Items"))
    avro.check(json.dumps({**document, "namespace": "shop.data"}), None)
    avro.check(json.dumps({key: value for key, value in document.items() if key not in ("namespace", "version")}), None)
    with pytest.raises(InvalidInput, match="namespace is 7"):
        avro.check(json.dumps({**document, "namespace": 7}), None)


OLD = schema_text([ITEM, category("GENRES"), field("PRICE", ["null", "float"])], "Items")


@pytest.mark.parametrize(
    "fields",
    [
        [ITEM, category("GENRES"), field("PRICE", ["null", "float"])],
        [field("NEW", "int"), field("PRICE", ["float", "null"]), category("GENRES"), ITEM],
    ],
)
def test_a_schema_can_be_replaced_by_one_that_has_all_its_fields_as_they_were(fields) -> None:
    avro.check_replacement(OLD, schema_text(fields, "Items"))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ([ITEM, category("GENRES")], "field PRICE: is missing"),
        (
            [ITEM, field("GENRES"), field("PRICE", ["null", "float"])],
            "GENRES: is string; .* keep it as string, categorical",
        ),
        ([ITEM, category("GENRES"), field("PRICE", "float")], "PRICE: is float; .* keep it as float or null"),
        ([ITEM, category("GENRES"), field("PRICE", ["null", "int"])], "PRICE: is int or null; .* as float or null"),
        ([ITEM, category("GENRES"), field("price", ["null", "float"])], "field PRICE: is missing"),
    ],
)
def test_a_schema_that_loses_or_changes_a_field_replaces_no_other(fields, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        avro.check_replacement(OLD, schema_text(fields, "Items"))
