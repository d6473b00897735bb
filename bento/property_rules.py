"""What `properties` of a streamed record may hold (spec/datasets.md section 6): one rule for every operation.

`properties` is a string with a JSON object. A key is a field of the data set's schema in lowerCamelCase (NUM_RATINGS ->
numRatings), a value must fit the field as it would have to in an import. What is refused is named by its place in the
call, its key and the rule.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from pipelines.aws.errors import InvalidInput
from pipelines.aws.numbers import decimal_number
from pipelines.datasets.schema import CREATION_TIMESTAMP, Field, property_name
from pipelines.datasets.values import FIRST_CREATION, LAST_SECOND, MAX_STRING, MILLISECONDS_FROM

MOMENTS = frozenset({CREATION_TIMESTAMP, "ACTION_EXPIRATION_TIMESTAMP"})
"""Fields that hold epoch seconds."""

_WHOLE = re.compile(r"([+-]?[0-9]{1,30})(\.0*)?", re.ASCII)
_BITS = {"int": 32, "long": 64}
LARGEST_FLOAT = 3.4028234663852886e38

ValueRule = Callable[[Any], str | None]
"""What is wrong with a value that is not null; None if nothing is."""


@dataclass(frozen=True, slots=True)
class PropertyKey:
    """What may stand under one key."""

    field: str
    nullable: bool
    rule: ValueRule


@dataclass(frozen=True, slots=True)
class PropertyRules:
    """What one data set's records may carry beside their own members."""

    schema: str
    """How a person calls it: `the Items schema`."""
    keys: Mapping[str, PropertyKey]
    members: frozenset[str]
    """Keys, in lower case, of what is a member of the call or the record and may not be repeated."""
    required: tuple[str, ...] = ()
    """Keys that may not be absent."""

    def parse(self, text: str | None, where: str) -> dict[str, Any]:
        """`properties` as an object that keeps every rule; raises InvalidInput."""
        properties = {} if text is None else self._object(text, where)
        for key, value in properties.items():
            known = self.keys.get(key)
            if known is None or key.lower() in self.members:
                raise self._stranger(key, where)
            wrong = _null(known) if value is None else known.rule(value)
            if wrong is not None:
                raise InvalidInput(f"{where}: {key!r} (field {known.field}) {wrong}.")
        for key in self.required:
            if key not in properties:
                field = self.keys[key].field
                raise InvalidInput(f"{where} lacks {key!r}: the field {field} of {self.schema} does not allow null.")
        return properties

    def _object(self, text: str, where: str) -> dict[str, Any]:
        try:
            parsed = orjson.loads(text)
        except orjson.JSONDecodeError as failure:
            raise InvalidInput(f"{where} must be a string that holds a JSON object: {failure}.") from None
        if not isinstance(parsed, dict):
            raise InvalidInput(f"{where} must be a string that holds a JSON object, like '{{\"price\": 4.2}}'.")
        return parsed

    def _stranger(self, key: str, where: str) -> InvalidInput:
        if key.lower() in self.members:
            return InvalidInput(f"{where} may not hold {key!r}: it is a member of its own.")
        own = ", ".join(sorted(name for name in self.keys if name.lower() not in self.members))
        return InvalidInput(f"{where} holds {key!r}, which is no field of {self.schema}. Known are: {own or 'none'}.")


def property_keys(fields: Iterable[Field]) -> dict[str, PropertyKey]:
    """lowerCamelCase key -> rule, in the schema's order."""
    return {property_name(field.name): PropertyKey(field.name, field.nullable, value_rule(field)) for field in fields}


# Unlike AWS, data: PutItems, PutUsers, PutActions and PutActionInteractions want every field that the schema does not
# let be null. A record replaces the old one as a whole, so what is missing would be lost.
def required_keys(fields: Iterable[Field], members: Collection[str]) -> tuple[str, ...]:
    """Keys of the fields that do not allow null and are no members, in the schema's order."""
    keys = (property_name(field.name) for field in fields if not field.nullable)
    return tuple(key for key in keys if key.lower() not in members)


def value_rule(field: Field) -> ValueRule:
    """The rule for values of one field."""
    if field.avro == "boolean":
        return _boolean
    if field.avro == "string":
        return _text if field.textual else _string
    return _number_rule(field)


def number(value: Any) -> float | None:
    """The finite number that a JSON number is or a string writes in plain decimal; None if there is none."""
    if isinstance(value, str):
        return decimal_number(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _null(key: PropertyKey) -> str | None:
    return None if key.nullable else "must not be null"


def _boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) or value in ("true", "false") else "must be true or false"


def _text(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return "must be a string or a number"
    if isinstance(value, str) and "\x00" in value:  # PostgreSQL cannot store it
        return "must not contain the character U+0000"
    return None


def _string(value: Any) -> str | None:
    if isinstance(value, str) and len(value) > MAX_STRING:
        return f"must be at most {MAX_STRING:,} characters long, not {len(value):,}"
    return _text(value)


def _number_rule(field: Field) -> ValueRule:
    is_moment = field.name in MOMENTS
    bits = _BITS.get(field.avro)
    wanted = f"a whole number of {bits} bits" if bits else f"a finite {field.avro}"

    def rule(value: Any) -> str | None:
        found = _whole_number(value, bits) if bits else number(value)
        if found is None or (field.avro == "float" and abs(found) > LARGEST_FLOAT):
            return f"must be {wanted}, or a string that writes one"
        return _moment(found) if is_moment else None

    return rule


# Unlike AWS, data: int and long fields take whole numbers only, and creation and expiration times lie between the
# years 1 and 2100, in seconds. A wrong unit is found at the call, not in a model.
def _whole_number(value: Any, bits: int) -> int | None:
    written = _WHOLE.fullmatch(value) if isinstance(value, str) else None
    if written is not None:
        value = int(written[1])
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int:
        return None
    return value if -(1 << bits - 1) <= value < 1 << bits - 1 else None


def _moment(seconds: float) -> str | None:
    if abs(seconds) >= MILLISECONDS_FROM:
        return f"must be epoch seconds; {seconds:.0f} looks like milliseconds"
    if not FIRST_CREATION <= seconds <= LAST_SECOND:
        return f"must be epoch seconds between the years 1 and 2100; {seconds:.0f} is not"
    return None
