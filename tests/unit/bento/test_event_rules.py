"""The rules that an event must keep, one by one, without a database."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bento.event_rules import event_row, property_keys
from pipelines.aws.errors import InvalidInput
from pipelines.datasets.schema import property_name

NOW = 1_800_000_000.0
SCHEMA = json.dumps(
    {
        "fields": [
            {"name": "USER_ID", "type": "string"},
            {"name": "ITEM_ID", "type": "string"},
            {"name": "TIMESTAMP", "type": "long"},
            {"name": "DEVICE_TYPE", "type": ["null", "string"]},
            {"name": "NUM_RATINGS", "type": "int"},
            {"name": "IS_MEMBER", "type": ["boolean", "null"]},
        ]
    }
)


def row(properties: Any = None, *, call: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    event = {"eventType": "watch", "sentAt": NOW, **members}
    if properties is not None:
        event["properties"] = properties if isinstance(properties, str) else json.dumps(properties)
    whole = {"trackingId": "t", "sessionId": "s", **(call or {}), "eventList": [event]}
    return event_row(whole, 0, property_keys(SCHEMA), NOW)


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


def test_members_go_to_their_columns() -> None:
    written = row(
        {"deviceType": "phone", "numRatings": 3, "isMember": True},
        call={"userId": "u"},
        itemId="i1",
        eventValue=4.5,
        eventId="e1",
        recommendationId="RID-x",
        impression=["i1", "i2"],
        metricAttribution={"eventAttributionSource": "email"},
    )
    assert written == {
        "user_key": "u",
        "user_id": "u",
        "session_id": "s",
        "event_id": "e1",
        "event_type": "watch",
        "event_value": 4.5,
        "item_id": "i1",
        "sent_at": NOW,
        "properties": {"deviceType": "phone", "numRatings": 3, "isMember": True},
        "recommendation_id": "RID-x",
        "impression": ["i1", "i2"],
        "attribution_source": "email",
    }


def test_an_anonymous_event_belongs_to_its_session() -> None:
    assert (row()["user_key"], row()["user_id"]) == ("s", None)


def test_item_and_value_may_stand_in_the_properties() -> None:
    written = row({"itemId": "i7", "eventValue": "2.5"})
    assert (written["item_id"], written["event_value"]) == ("i7", 2.5)
    written = row({"itemId": 7, "eventValue": 1}, itemId="i8", eventValue=3.0)
    assert (written["item_id"], written["event_value"]) == ("i8", 3.0)
    assert row({"itemId": 7})["item_id"] == "7"


@pytest.mark.parametrize("value", [3, 3.5, "3", "-1e3"])
def test_numbers_may_come_as_strings(value: Any) -> None:
    assert row({"numRatings": value})["properties"] == {"numRatings": value}


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ("{", "JSON object"),
        ("[]", "JSON object"),
        ('"x"', "JSON object"),
        ("NaN", "JSON object"),
        ({"userId": "x"}, "userId"),
        ({"SESSIONID": "x"}, "SESSIONID"),
        ({"EventType": "x"}, "EventType"),
        ({"timestamp": 1}, "timestamp"),
        ({"recommendationId": "x"}, "recommendationId"),
        ({"impression": []}, "impression"),
        ({"noSuch": 1}, "noSuch"),
        ({"NUM_RATINGS": 1}, "NUM_RATINGS"),
        ({"numRatings": "many"}, "NUM_RATINGS"),
        ({"numRatings": None}, "NUM_RATINGS"),
        ({"numRatings": True}, "NUM_RATINGS"),
        ({"numRatings": "inf"}, "NUM_RATINGS"),
        ({"isMember": 1}, "IS_MEMBER"),
        ({"deviceType": ["a"]}, "DEVICE_TYPE"),
        ({"deviceType": {"a": 1}}, "DEVICE_TYPE"),
        ({"deviceType": "a\x00b"}, "DEVICE_TYPE"),
        ({"itemId": ""}, "itemId"),
        ({"itemId": "x" * 257}, "itemId"),
        ({"itemId": "a\x00"}, "itemId"),
        ({"itemId": ["i1"]}, "itemId"),
        ({"itemId": True}, "itemId"),
        ({"eventValue": "much"}, "eventValue"),
        ({"eventValue": True}, "eventValue"),
        ({"eventValue": "nan"}, "eventValue"),
        ({"eventValue": "1_0"}, "eventValue"),
    ],
)
def test_properties_that_break_a_rule_are_refused_by_name(properties: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=r"eventList\[0\]\.properties") as raised:
        row(properties)
    assert says in raised.value.message


def test_an_unknown_key_is_told_which_keys_there_are() -> None:
    with pytest.raises(InvalidInput, match="deviceType, isMember, itemId, numRatings"):
        row({"rating": 1})


def test_nulls_are_for_nullable_fields() -> None:
    assert row({"deviceType": None, "isMember": None})["properties"] == {"deviceType": None, "isMember": None}


@pytest.mark.parametrize(
    ("sent_at", "says"),
    [
        (0.0, "after 1970"),
        (-5.0, "after 1970"),
        (NOW * 1000, "milliseconds"),
        (NOW + 24 * 3600 + 1, "more than 24 hours in the future"),
    ],
)
def test_a_time_that_cannot_be_is_refused(sent_at: float, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        row(sentAt=sent_at)


@pytest.mark.parametrize("sent_at", [1.0, NOW - 10 * 365 * 86400, NOW + 24 * 3600])
def test_the_past_and_a_day_ahead_are_taken(sent_at: float) -> None:
    assert row(sentAt=sent_at)["sent_at"] == sent_at


def test_an_event_of_more_than_10_kb_is_refused() -> None:
    with pytest.raises(InvalidInput, match="10 KB"):
        row(itemId="\u20ac" * 256, impression=["\u20ac" * 256] * 25)


def test_an_event_without_an_id_gets_one_made_of_its_content() -> None:
    assert row(itemId="i1")["event_id"] == row(itemId="i1")["event_id"]
    others = [row(itemId="i2"), row(itemId="i1", sentAt=NOW - 1), row({"numRatings": 1}, itemId="i1")]
    others.append(row(itemId="i1", call={"userId": "u"}))
    assert len({other["event_id"] for other in [row(itemId="i1"), *others]}) == 5
    assert len(row()["event_id"]) <= 256


def test_a_group_without_a_schema_takes_events_without_own_fields() -> None:
    call = {"sessionId": "s", "eventList": [{"eventType": "e", "sentAt": NOW, "properties": '{"itemId": "i"}'}]}
    assert event_row(call, 0, property_keys(None), NOW)["item_id"] == "i"
