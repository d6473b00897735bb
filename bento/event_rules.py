"""What an event must be before it may join a history (spec/datasets.md section 6): checks only, no database.

botocore's model has been checked before; here come the rules that it cannot say. Every refusal names the event by its
position, the member and the rule, and one bad event refuses the whole call.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from pipelines.aws.errors import InvalidInput
from pipelines.aws.numbers import decimal_number
from pipelines.datasets.schema import property_name

EVENT_BYTES = 10 * 1024
MOST_AHEAD_SECONDS = 24 * 3600
# Epoch milliseconds since 1973; as seconds it would be the year 5138.
_MILLISECONDS = 1e11

FORBIDDEN = frozenset({"userid", "sessionid", "eventtype", "timestamp", "recommendationid", "impression"})
"""Keys, in lower case, that are members of the event or the call and may not be repeated in `properties`."""
ITEM_ID, EVENT_VALUE = "itemId", "eventValue"

_NUMBERS = frozenset({"float", "double", "int", "long"})


@dataclass(frozen=True, slots=True)
class PropertyKey:
    """What `properties` may hold under one key: a field of the Interactions schema."""

    field: str
    avro: str
    nullable: bool


PropertyKeys = Mapping[str, PropertyKey]


def property_keys(schema: str | None) -> dict[str, PropertyKey]:
    """lowerCamelCase key -> field, from an Interactions schema's Avro JSON (None: no data set yet, no own fields)."""
    fields: Iterable[Mapping[str, Any]] = json.loads(schema)["fields"] if schema else ()
    keys = {}
    for field in fields:
        types = field["type"] if isinstance(field["type"], list) else [field["type"]]
        avro = next((kind for kind in types if kind != "null"), "string")
        keys[property_name(field["name"])] = PropertyKey(field["name"], avro, "null" in types)
    return keys


def event_row(call: Mapping[str, Any], position: int, keys: PropertyKeys, now: float) -> dict[str, Any]:
    """The row of `events` for eventList[position] of a PutEvents call; raises InvalidInput.

    An event without eventId gets one made of its content: of two events with the same timestamp and identical
    properties one is kept, and a call that a client repeats because the answer was lost counts once.
    """
    event, where = call["eventList"][position], f"eventList[{position}]"
    if len(orjson.dumps(event)) > EVENT_BYTES:
        raise InvalidInput(f"{where} is larger than 10 KB.")
    _check_sent_at(event["sentAt"], where, now)
    properties = parse_properties(event.get("properties"), f"{where}.properties", keys)
    attribution = event.get("metricAttribution") or {}
    row = {
        "user_key": call.get("userId") or call["sessionId"],
        "user_id": call.get("userId"),
        "session_id": call["sessionId"],
        "event_type": event["eventType"],
        "event_value": event.get("eventValue", _event_value(properties, where)),
        "item_id": event.get("itemId", _item_id(properties, where)),
        "sent_at": event["sentAt"],
        "properties": properties or None,
        "recommendation_id": event.get("recommendationId"),
        "impression": event.get("impression"),
        "attribution_source": attribution.get("eventAttributionSource"),
    }
    return {"event_id": event.get("eventId") or _content_id(row), **row}


def parse_properties(text: str | None, where: str, keys: PropertyKeys) -> dict[str, Any]:
    """`properties` as an object whose keys the schema knows and whose values fit it; raises InvalidInput."""
    if text is None:
        return {}
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError as failure:
        raise InvalidInput(f"{where} must be a string that holds a JSON object: {failure}.") from None
    if not isinstance(parsed, dict):
        raise InvalidInput(f'{where} must be a string that holds a JSON object, like \'{{"itemId": "42"}}\'.')
    for key, value in parsed.items():
        _check_property(key, value, where, keys)
    return parsed


def _check_property(key: str, value: Any, where: str, keys: PropertyKeys) -> None:
    if key.lower() in FORBIDDEN:
        raise InvalidInput(f"{where} may not hold {key!r}: it is a member of its own.")
    if key in (ITEM_ID, EVENT_VALUE):
        return  # checked where they are used
    known = keys.get(key)
    if known is None:
        own = sorted(name for name in keys if name.lower() not in FORBIDDEN)
        names = ", ".join(own) or "none: the group has no Interactions schema"
        raise InvalidInput(f"{where} holds {key!r}, which is no field of the Interactions schema. Its fields: {names}.")
    if not _fits(value, known):
        raise InvalidInput(f"{where}: {key!r} must be a value for {known.field}, which is a {known.avro}.")


def _fits(value: Any, key: PropertyKey) -> bool:
    if value is None:
        return key.nullable
    if key.avro == "boolean":
        return isinstance(value, bool) or value in ("true", "false")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return False
    if key.avro in _NUMBERS:
        return _number(value) is not None
    return not isinstance(value, str) or "\x00" not in value


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        return decimal_number(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _event_value(properties: Mapping[str, Any], where: str) -> float | None:
    value = properties.get(EVENT_VALUE)
    number = _number(value)
    if value is not None and number is None:
        raise InvalidInput(f"{where}.properties: 'eventValue' must be a number.")
    return number


def _item_id(properties: Mapping[str, Any], where: str) -> str | None:
    value = properties.get(ITEM_ID)
    if value is None:
        return None
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not 1 <= len(text) <= 256 or "\x00" in text:
        raise InvalidInput(f"{where}.properties: 'itemId' must be a string of 1 to 256 characters.")
    return text


def _check_sent_at(sent_at: float, where: str, now: float) -> None:
    if sent_at > _MILLISECONDS:
        raise InvalidInput(f"{where}.sentAt must be epoch seconds; {sent_at:.0f} looks like milliseconds.")
    if sent_at <= 0:
        raise InvalidInput(f"{where}.sentAt must be epoch seconds after 1970; {sent_at:g} is not.")
    if sent_at > now + MOST_AHEAD_SECONDS:
        when = datetime.fromtimestamp(sent_at, UTC)
        raise InvalidInput(f"{where}.sentAt is {when:%Y-%m-%d %H:%M:%S} UTC, more than 24 hours in the future.")


def _content_id(row: Mapping[str, Any]) -> str:
    content = orjson.dumps(row, option=orjson.OPT_SORT_KEYS)
    return "content-" + hashlib.blake2b(content, digest_size=16).hexdigest()
