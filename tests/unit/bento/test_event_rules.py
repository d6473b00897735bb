"""The rules that an event must keep, one by one, without a database."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bento.event_rules import action_event_properties, action_event_row, event_properties, event_row
from pipelines.aws.errors import InvalidInput

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
    return event_row(whole, 0, event_properties(SCHEMA), NOW)


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


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ({"userId": "x"}, "userId"),
        ({"SESSIONID": "x"}, "SESSIONID"),
        ({"EventType": "x"}, "EventType"),
        ({"timestamp": 1}, "timestamp"),
        ({"recommendationId": "x"}, "recommendationId"),
        ({"impression": []}, "impression"),
        ({"itemId": ""}, "itemId"),
        ({"itemId": "x" * 257}, "itemId"),
        ({"itemId": "a\x00"}, "itemId"),
        ({"itemId": ["i1"]}, "itemId"),
        ({"itemId": True}, "itemId"),
        ({"eventValue": "much"}, "eventValue"),
        ({"eventValue": True}, "eventValue"),
        ({"eventValue": "nan"}, "eventValue"),
        ({"eventValue": "1_0"}, "eventValue"),
        ({"numRatings": "many"}, "NUM_RATINGS"),
    ],
)
def test_properties_that_break_a_rule_are_refused_by_name(properties: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=r"eventList\[0\]\.properties") as raised:
        row(properties)
    assert says in raised.value.message


def test_an_unknown_key_is_told_which_keys_there_are() -> None:
    with pytest.raises(InvalidInput, match="deviceType, eventValue, isMember, itemId, numRatings"):
        row({"rating": 1})


def test_an_event_may_lack_a_field_that_does_not_allow_null() -> None:
    assert row({"deviceType": "phone"})["properties"] == {"deviceType": "phone"}


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
    four = "\U0001f600"
    with pytest.raises(InvalidInput, match="10 KB"):
        row({"deviceType": four * 1000}, itemId=four * 256, impression=[four * 249] * 4, eventId=four * 256)


def test_an_impression_is_at_most_1000_characters_with_its_bars() -> None:
    assert row(impression=["x" * 100] * 9 + ["x" * 91])["impression"]
    with pytest.raises(InvalidInput, match=r"eventList\[0\]\.impression must be at most 1,000 characters.* 1,001"):
        row(impression=["x" * 100] * 9 + ["x" * 92])


def test_an_event_value_beyond_32_bits_is_refused() -> None:
    for given in ({"eventValue": 1e39}, {"properties": {"eventValue": "-1e39"}}):
        with pytest.raises(InvalidInput, match="eventValue must be a float of 32 bits"):
            row(**given)


def test_ids_that_no_index_entry_can_hold_are_refused() -> None:
    with pytest.raises(InvalidInput, match="take 3,072 bytes together"):
        row(itemId="\U0001f600" * 256, eventType="\U0001f600" * 256, call={"userId": "\U0001f600" * 256})


def test_an_event_without_an_id_gets_one_made_of_its_content() -> None:
    assert row(itemId="i1")["event_id"] == row(itemId="i1")["event_id"]
    others = [row(itemId="i2"), row(itemId="i1", sentAt=NOW - 1), row({"numRatings": 1}, itemId="i1")]
    others.append(row(itemId="i1", call={"userId": "u"}))
    assert len({other["event_id"] for other in [row(itemId="i1"), *others]}) == 5
    assert len(row()["event_id"]) <= 256


def test_a_group_without_a_schema_takes_events_without_own_fields() -> None:
    call = {"sessionId": "s", "eventList": [{"eventType": "e", "sentAt": NOW, "properties": '{"itemId": "i"}'}]}
    assert event_row(call, 0, event_properties(None), NOW)["item_id"] == "i"


# Action interactions ------------------------------------------------------------------------------------

ACTION_SCHEMA = json.dumps(
    {
        "fields": [
            {"name": "USER_ID", "type": "string"},
            {"name": "ACTION_ID", "type": "string"},
            {"name": "TIMESTAMP", "type": "long"},
            {"name": "EVENT_TYPE", "type": "string"},
            {"name": "CHANNEL", "type": "string"},
            {"name": "RECOMMENDATION_ID", "type": "string"},
        ]
    }
)


def action_row(properties: Any = None, **members: Any) -> dict[str, Any]:
    event = {"actionId": "a1", "sessionId": "s", "timestamp": NOW, "eventType": "Taken", **members}
    event["properties"] = json.dumps({"channel": "mail"} if properties is None else properties)
    return action_event_row({"actionInteractions": [event]}, 0, action_event_properties(ACTION_SCHEMA), NOW)


def test_members_of_an_action_interaction_go_to_their_columns() -> None:
    assert action_row(userId="u", eventId="e", recommendationId="RID-x", impression=["a1", "a2"]) == {
        "event_id": "e",
        "user_key": "u",
        "user_id": "u",
        "session_id": "s",
        "event_type": "TAKEN",
        "action_id": "a1",
        "sent_at": NOW,
        "properties": {"channel": "mail"},
        "recommendation_id": "RID-x",
    }


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("Taken", "TAKEN"),
        ("Not Taken", "NOT_TAKEN"),
        ("NOT_TAKEN", "NOT_TAKEN"),
        ("not taken", "NOT_TAKEN"),
        ("viewed", "VIEWED"),
    ],
)
def test_what_became_of_an_action_is_stored_in_one_spelling(given: str, stored: str) -> None:
    assert action_row(eventType=given)["event_type"] == stored


@pytest.mark.parametrize("given", ["click", "NotTaken", "not-taken", "TAKEN!", " "])
def test_anything_else_cannot_become_of_an_action(given: str) -> None:
    with pytest.raises(InvalidInput, match=r"actionInteractions\[0\]\.eventType must be Taken, Not Taken or Viewed"):
        action_row(eventType=given)


def test_the_time_of_an_action_interaction_keeps_the_rules_of_an_events() -> None:
    with pytest.raises(InvalidInput, match=r"actionInteractions\[0\]\.timestamp .* milliseconds"):
        action_row(timestamp=NOW * 1000)


@pytest.mark.parametrize("key", ["userId", "sessionId", "eventType", "timestamp", "actionId", "EventId", "impression"])
def test_a_member_of_an_action_interaction_may_not_be_a_property(key: str) -> None:
    with pytest.raises(InvalidInput, match=f"may not hold '{key}'"):
        action_row({"channel": "mail", key: "x"})


def test_an_action_interaction_has_every_own_field_that_does_not_allow_null() -> None:
    with pytest.raises(InvalidInput, match="lacks 'channel': the field CHANNEL"):
        action_row({})


def test_an_action_interaction_without_an_id_gets_one_made_of_its_content() -> None:
    assert action_row()["event_id"] == action_row()["event_id"] != action_row(actionId="a2")["event_id"]
