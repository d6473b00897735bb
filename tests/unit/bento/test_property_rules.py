"""What `properties` may hold: keys, types, sizes, times; and that a record is whole."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bento.property_rules import PropertyRules
from bento.record_rules import RECORD_TYPES, record_properties, record_rows
from pipelines.aws.errors import InvalidInput
from pipelines.datasets.schema import property_name

SCHEMA = json.dumps(
    {
        "fields": [
            {"name": "ITEM_ID", "type": "string"},
            {"name": "GENRES", "type": "string", "categorical": True},
            {"name": "TITLE", "type": ["null", "string"]},
            {"name": "DESCRIPTION", "type": ["string", "null"], "textual": True},
            {"name": "NUM_RATINGS", "type": ["null", "int"]},
            {"name": "VIEWS", "type": ["null", "long"]},
            {"name": "PRICE", "type": ["null", "float"]},
            {"name": "WEIGHT", "type": ["null", "double"]},
            {"name": "IN_STOCK", "type": ["null", "boolean"]},
            {"name": "CREATION_TIMESTAMP", "type": "long"},
        ]
    }
)
WHOLE = {"genres": "Action|Crime", "creationTimestamp": 1_700_000_000}


def parse(properties: Any) -> dict[str, Any]:
    rules: PropertyRules = record_properties(SCHEMA, "ITEMS")
    text = properties if isinstance(properties, str | None) else json.dumps(properties)
    return rules.parse(text, "items[0].properties")


@pytest.mark.parametrize(
    ("field", "key"),
    [
        ("NUM_RATINGS", "numRatings"),
        ("CREATION_TIMESTAMP", "creationTimestamp"),
        ("GENRES", "genres"),
        ("A_1_B", "a1B"),
    ],
)
def test_a_property_key_is_the_lower_camel_case_of_the_field(field: str, key: str) -> None:
    assert property_name(field) == key


@pytest.mark.parametrize(
    "values",
    [
        {"title": "x" * 1000},
        {"title": 7},
        {"title": 1.5},
        {"title": None},
        {"genres": "é" * 1000},
        {"description": "x" * 30_000},
        {"numRatings": 3},
        {"numRatings": 3.0},
        {"numRatings": "3"},
        {"numRatings": "-3.0"},
        {"numRatings": -(2**31)},
        {"views": 2**63 - 1},
        {"views": str(2**63 - 1)},
        {"views": None},
        {"price": 3},
        {"price": "3.5"},
        {"price": "-1e3"},
        {"weight": 1e300},
        {"inStock": True},
        {"inStock": "false"},
        {"creationTimestamp": -631_152_000},
        {"creationTimestamp": "1700000000"},
        {"creationTimestamp": 4_000_000_000},
    ],
)
def test_a_value_that_fits_is_kept_as_it_was_sent(values: dict[str, Any]) -> None:
    assert parse({**WHOLE, **values}) == {**WHOLE, **values}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"title": "x" * 1001}, "'title' (field TITLE) must be at most 1,000 characters long, not 1,001"),
        ({"genres": "x" * 1001}, "'genres' (field GENRES) must be at most 1,000 characters"),
        ({"title": True}, "must be a string or a number"),
        ({"title": ["a"]}, "must be a string or a number"),
        ({"title": {"a": 1}}, "must be a string or a number"),
        ({"title": "a\x00b"}, "U+0000"),
        ({"description": "a\x00b"}, "U+0000"),
        ({"numRatings": 3.5}, "'numRatings' (field NUM_RATINGS) must be a whole number of 32 bits"),
        ({"numRatings": "3.5"}, "a whole number of 32 bits"),
        ({"numRatings": "1e3"}, "a whole number of 32 bits"),
        ({"numRatings": "٣"}, "a whole number of 32 bits"),
        ({"numRatings": "9" * 5000}, "a whole number of 32 bits"),
        ({"numRatings": 2**31}, "a whole number of 32 bits"),
        ({"numRatings": True}, "a whole number of 32 bits"),
        ({"numRatings": ""}, "a whole number of 32 bits"),
        ({"views": 2**63}, "a whole number of 64 bits"),
        ({"price": "many"}, "a finite float"),
        ({"price": 1e39}, "a finite float"),
        ({"price": "inf"}, "a finite float"),
        ({"price": False}, "a finite float"),
        ({"weight": "nan"}, "a finite double"),
        ({"inStock": 1}, "true or false"),
        ({"inStock": "yes"}, "true or false"),
        ({"genres": None}, "'genres' (field GENRES) must not be null"),
        ({"creationTimestamp": 1_700_000_000_000}, "1700000000000 looks like milliseconds"),
        ({"creationTimestamp": 4_102_444_801}, "between the years 1 and 2100"),
        ({"itemId": "i2"}, "may not hold 'itemId'"),
        ({"ITEMID": "i2"}, "may not hold 'ITEMID'"),
        ({"noSuch": 1}, "no field of the Items schema. Known are: creationTimestamp, description, genres, inStock"),
        ({"GENRES": "x"}, "no field of the Items schema"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(values: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse({**WHOLE, **values})
    assert raised.value.message.startswith("items[0].properties") and says in raised.value.message


@pytest.mark.parametrize("text", ["{", "[]", '"x"', "NaN", "7", "", '{"genres": "\\ud800"}', "[" * 5000])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="JSON object"):
        parse(text)


@pytest.mark.parametrize("lacking", [None, {}, {"genres": "Action"}])
def test_a_record_has_every_field_that_does_not_allow_null(lacking: Any) -> None:
    with pytest.raises(InvalidInput, match=r"lacks '\w+': the field (GENRES|CREATION_TIMESTAMP) of the Items schema"):
        parse(lacking)


def test_the_time_an_action_ends_is_in_seconds() -> None:
    fields = [
        {"name": "ACTION_ID", "type": "string"},
        {"name": "ACTION_EXPIRATION_TIMESTAMP", "type": ["null", "long"]},
    ]
    rules = record_properties(json.dumps({"fields": fields}), "ACTIONS")
    assert rules.parse('{"actionExpirationTimestamp": 1800000000}', "actions[0].properties")
    with pytest.raises(InvalidInput, match="milliseconds"):
        rules.parse('{"actionExpirationTimestamp": 1800000000000}', "actions[0].properties")


def test_rows_keep_the_order_of_the_call_and_errors_name_the_place() -> None:
    rules = record_properties(SCHEMA, "ITEMS")
    items = [{"itemId": f"i{n % 2}", "properties": json.dumps({**WHOLE, "views": n})} for n in range(3)]
    rows = record_rows({"items": items}, RECORD_TYPES["PutItems"], rules)
    assert [(row["record_id"], row["properties"]["views"]) for row in rows] == [("i0", 0), ("i1", 1), ("i0", 2)]
    items[2]["properties"] = "{}"
    with pytest.raises(InvalidInput, match=r"^items\[2\]\.properties lacks 'genres'"):
        record_rows({"items": items}, RECORD_TYPES["PutItems"], rules)
