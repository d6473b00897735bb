"""What an event must be before it may join a history (spec/datasets.md section 6): checks only, no database.

botocore's model has been checked before; here come the rules that it cannot say, for interactions (PutEvents) and for
action interactions. Every refusal names the event by its position, the member and the rule, and one bad event refuses
the whole call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from bento.property_rules import LARGEST_FLOAT, PropertyKey, PropertyRules, number, property_keys, required_keys
from pipelines.aws.errors import InvalidInput
from pipelines.datasets.schema import read_schema
from pipelines.datasets.values import ACTION_EVENT_TYPES, MAX_ID, MAX_STRING, MILLISECONDS_FROM

EVENT_BYTES = 10 * 1024
# Unlike AWS, limits: the ids of user and item and the event type may take 2,400 bytes together. Each may be as long as on
# AWS, but an entry of the index that makes histories quick has no more room for three of many-byte characters.
INDEX_BYTES = 2400
"""What user, item and event type may take together in UTF-8: an entry of the histories' index has no more room."""
# Unlike AWS, data: an event dated in milliseconds or more than a day ahead is refused. It would be the newest of its
# user for ever.
MOST_AHEAD_SECONDS = 24 * 3600

MEMBERS = frozenset({"userid", "sessionid", "eventtype", "timestamp", "recommendationid", "impression"})
"""Keys, in lower case, that are members of the event or the call and may not be repeated in `properties`."""
ACTION_MEMBERS = MEMBERS | {"actionid", "eventid"}
ITEM_ID, EVENT_VALUE = "itemId", "eventValue"

"""What may become of an action, as it is stored."""


def event_properties(schema: str | None) -> PropertyRules:
    """The rules of `properties` in PutEvents, from an Interactions schema's Avro JSON (None: no data set yet).

    Item and value may stand there, too, as in older clients. No field is required: public clients leave out fields
    that their schema does not let be null, and such an event still says what was taken and when.
    """
    keys = property_keys(read_schema(schema, "INTERACTIONS").fields) if schema else {}
    keys[ITEM_ID] = PropertyKey("ITEM_ID", True, _item_id_rule)
    keys[EVENT_VALUE] = PropertyKey("EVENT_VALUE", True, _event_value_rule)
    return PropertyRules(
        "the Interactions schema" if schema else "any Interactions schema: the group has none", keys, MEMBERS
    )


def action_event_properties(schema: str) -> PropertyRules:
    """The rules of `properties` in PutActionInteractions, from the data set's schema."""
    fields = read_schema(schema, "ACTION_INTERACTIONS").fields
    required = required_keys(fields, ACTION_MEMBERS)
    return PropertyRules("the Action_Interactions schema", property_keys(fields), ACTION_MEMBERS, required)


def event_row(call: Mapping[str, Any], position: int, rules: PropertyRules, now: float) -> dict[str, Any]:
    """The row of `events` for eventList[position] of a PutEvents call; raises InvalidInput.

    An event without eventId gets one made of its content: of two events with the same timestamp and identical
    properties one is kept, and a call that a client repeats because the answer was lost counts once.
    """
    event, where = call["eventList"][position], f"eventList[{position}]"
    if len(orjson.dumps(event)) > EVENT_BYTES:
        raise InvalidInput(f"{where} is larger than 10 KB.")
    check_moment(event["sentAt"], f"{where}.sentAt", now)
    properties = rules.parse(event.get("properties"), f"{where}.properties")
    attribution = event.get("metricAttribution") or {}
    row = {
        "user_key": call.get("userId") or call["sessionId"],
        "user_id": call.get("userId"),
        "session_id": call["sessionId"],
        "event_type": event["eventType"],
        "event_value": event.get("eventValue", number(properties.get(EVENT_VALUE))),
        "item_id": event.get("itemId", _text(properties.get(ITEM_ID))),
        "sent_at": event["sentAt"],
        "properties": properties or None,
        "recommendation_id": event.get("recommendationId"),
        "impression": event.get("impression"),
        "attribution_source": attribution.get("eventAttributionSource"),
    }
    _check_sizes(row, where)
    return {"event_id": event.get("eventId") or _content_id(row), **row}


def action_event_row(call: Mapping[str, Any], position: int, rules: PropertyRules, now: float) -> dict[str, Any]:
    """The row of `action_events` for actionInteractions[position]; raises InvalidInput.

    `impression` is not used (what was shown is said by events of type VIEWED). Without eventId as for PutEvents.
    """
    event, where = call["actionInteractions"][position], f"actionInteractions[{position}]"
    check_moment(event["timestamp"], f"{where}.timestamp", now)
    row = {
        "user_key": event.get("userId") or event["sessionId"],
        "user_id": event.get("userId"),
        "session_id": event["sessionId"],
        "event_type": _event_type(event["eventType"], where),
        "action_id": event["actionId"],
        "sent_at": event["timestamp"],
        "properties": rules.parse(event.get("properties"), f"{where}.properties") or None,
        "recommendation_id": event.get("recommendationId"),
    }
    return {"event_id": event.get("eventId") or _content_id(row), **row}


def check_moment(seconds: float, where: str, now: float) -> None:
    """When an event happened: epoch seconds after 1970 and at most a day ahead of `now`; raises InvalidInput."""
    if seconds >= MILLISECONDS_FROM:
        raise InvalidInput(f"{where} must be epoch seconds; {seconds:.0f} looks like milliseconds.")
    if seconds <= 0:
        raise InvalidInput(f"{where} must be epoch seconds after 1970; {seconds:g} is not.")
    if seconds > now + MOST_AHEAD_SECONDS:
        when = datetime.fromtimestamp(seconds, UTC)
        raise InvalidInput(f"{where} is {when:%Y-%m-%d %H:%M:%S} UTC, more than 24 hours in the future.")


def _event_type(given: str, where: str) -> str:
    event_type = given.strip().upper().replace(" ", "_")
    if event_type not in ACTION_EVENT_TYPES:
        raise InvalidInput(f"{where}.eventType must be Taken, Not Taken or Viewed, not {given!r}.")
    return event_type


def _item_id_rule(value: Any) -> str | None:
    text = _text(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
    if not text or len(text) > MAX_ID or "\x00" in text:
        return f"must be a string of 1 to {MAX_ID} characters"
    return None


def _event_value_rule(value: Any) -> str | None:
    return "must be a finite number, or a string that writes one" if number(value) is None else None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _check_sizes(row: Mapping[str, Any], where: str) -> None:
    if row["event_value"] is not None and abs(row["event_value"]) > LARGEST_FLOAT:
        raise InvalidInput(f"{where}.eventValue must be a float of 32 bits, not {row['event_value']:g}.")
    shown = "|".join(row["impression"] or ())
    if len(shown) > MAX_STRING:
        raise InvalidInput(
            f"{where}.impression must be at most {MAX_STRING:,} characters long, its ids joined by '|'; "
            f"it is {len(shown):,}."
        )
    indexed = len("".join((row["user_key"], row["item_id"] or "", row["event_type"])).encode())
    if indexed > INDEX_BYTES:
        raise InvalidInput(
            f"{where}: user, itemId and eventType take {indexed:,} bytes together, {INDEX_BYTES:,} may be."
        )


def _content_id(row: Mapping[str, Any]) -> str:
    content = orjson.dumps(row, option=orjson.OPT_SORT_KEYS)
    return "content-" + hashlib.blake2b(content, digest_size=16).hexdigest()
