"""Requests checked and answers shaped by botocore's own service models: no operation is described twice.

A request goes through two gates, as at AWS: it must deserialise (JSON, and every member of the modelled JSON type,
nothing coerced: Serialization), then it must satisfy every constraint (required, length, range, pattern, enum: all
violations in one Validation). Null is the same as absent, unknown members are dropped.

A checker is compiled once per shape into nested closures; a GetRecommendations body takes a few microseconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import orjson
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape

from pipelines.aws.errors import Serialization, UnknownOperation, Validation
from pipelines.aws.patterns import compile_java

# A path is a chain of (parent, step), made into text only when something is wrong.
Path = tuple[Any, str] | None
Checker = Callable[[Any, Path, list[str]], Any]
Shaper = Callable[[Any], Any]

# Unlike AWS, access: files may also lie in folders of the server, `file://` below OPENPERSONALIZE_IMPORT_ROOTS. Not
# everybody who runs this has an S3.
_OR_FILE = "(s3|http|https|file)://.+"
LOCAL_FILES = {("DataSource", "dataLocation"): _OR_FILE, ("S3DataConfig", "path"): _OR_FILE}
"""Patterns of ours instead of AWS's: jobs may also read and write files below OPENPERSONALIZE_IMPORT_ROOTS."""

MOST_BROKEN = 100
"""Violations in one list or map after which nobody looks on: a megabyte of wrong members would be answered with twenty."""

_INTEGER_BITS = {"integer": 31, "long": 63}


def parse_input(service: str, operation: str, body: bytes) -> dict[str, Any]:
    """The request's members; raises Serialization or Validation naming member and rule."""
    try:
        doc = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError as failure:
        raise Serialization(f"The request body is not valid JSON: {failure}") from None
    checker = _input_checker(service, operation)
    if checker is None:
        return {}
    broken: list[str] = []
    members: dict[str, Any] = checker(doc, None, broken)
    if broken:
        errors = "error" if len(broken) == 1 else "errors"
        raise Validation(f"{len(broken)} validation {errors} detected: {'; '.join(broken)}")
    return members


def shape_output(service: str, operation: str, doc: Mapping[str, Any]) -> dict[str, Any]:
    """Only the modelled members of `doc`, None left out, datetimes as epoch seconds."""
    shaper = _output_shaper(service, operation)
    shaped: dict[str, Any] = shaper(doc) if shaper else {}
    return shaped


def operation_for_target(service: str, target: str) -> str:
    """The operation that `X-Amz-Target: AmazonPersonalize.<operation>` names; raises UnknownOperation."""
    model = service_model(service)
    prefix, _, operation = target.partition(".")
    if prefix != model.metadata.get("targetPrefix") or operation not in model.operation_names:
        raise UnknownOperation(f"Unknown operation {target!r} in the X-Amz-Target header.")
    return operation


def rest_operation(service: str, path: str) -> str:
    """The operation that `POST <path>` stands for; raises UnknownOperation."""
    operation = _rest_routes(service).get(path)
    if operation is None:
        raise UnknownOperation(f"Unknown operation: no POST {path} in {service}.")
    return operation


@lru_cache(maxsize=8)
def service_model(service: str) -> ServiceModel:
    """botocore's newest model of `personalize`, `personalize-runtime` or `personalize-events`."""
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


@lru_cache(maxsize=8)
def _rest_routes(service: str) -> dict[str, str]:
    model = service_model(service)
    return {model.operation_model(name).http["requestUri"]: name for name in model.operation_names}


@lru_cache(maxsize=256)
def _input_checker(service: str, operation: str) -> Checker | None:
    shape = service_model(service).operation_model(operation).input_shape
    return _checker(shape) if shape is not None else None


@lru_cache(maxsize=256)
def _output_shaper(service: str, operation: str) -> Shaper | None:
    shape = service_model(service).operation_model(operation).output_shape
    return _shaper(shape) if shape is not None else None


# Requests: one closure a shape --------------------------------------------------------------------------


def _checker(shape: Shape, pattern: str | None = None) -> Checker:
    if shape.type_name == "string":
        return _string(shape, pattern)
    makers: dict[str, Callable[[Shape], Checker]] = {
        "structure": _structure,
        "list": _list,
        "map": _map,
        "integer": _integer,
        "long": _integer,
        "float": _number,
        "double": _number,
        "boolean": _boolean,
        "timestamp": _number,
    }
    return makers[shape.type_name](shape)


def _structure(shape: Any) -> Checker:
    required = frozenset(shape.required_members)
    members = [
        (name, name in required, _checker(member, LOCAL_FILES.get((shape.name, name))))
        for name, member in shape.members.items()
    ]

    def check(value: Any, path: Path, broken: list[str]) -> dict[str, Any]:
        if type(value) is not dict:
            raise _wrong_type(path, "an object", value)
        kept = {}
        for name, needed, check_member in members:
            given = value.get(name)
            if given is not None:
                kept[name] = check_member(given, (path, name), broken)
            elif needed:
                broken.append(_missing((path, name)))
        return kept

    return check


def _list(shape: Any) -> Checker:
    check_member = _checker(shape.member)
    check_length = _bounds(shape, "length")

    def check(value: Any, path: Path, broken: list[str]) -> list[Any]:
        if type(value) is not list:
            raise _wrong_type(path, "an array", value)
        check_length(len(value), value, path, broken)
        kept = []
        for position, given in enumerate(value, 1):
            if len(broken) > MOST_BROKEN:
                break
            here = ((path, str(position)), "member")
            if given is None:
                broken.append(_missing(here))
            else:
                kept.append(check_member(given, here, broken))
        return kept

    return check


def _map(shape: Any) -> Checker:
    check_key, check_value = _checker(shape.key), _checker(shape.value)
    check_length = _bounds(shape, "length")

    def check(value: Any, path: Path, broken: list[str]) -> dict[str, Any]:
        if type(value) is not dict:
            raise _wrong_type(path, "an object", value)
        check_length(len(value), value, path, broken)
        kept = {}
        for key, given in value.items():
            if len(broken) > MOST_BROKEN:
                break
            check_key(key, (path, "key"), broken)
            if given is not None:
                kept[key] = check_value(given, (path, key), broken)
        return kept

    return check


def _string(shape: Any, pattern: str | None) -> Checker:
    written = pattern or shape.metadata.get("pattern")
    full_match = compile_java(written).fullmatch if written else None
    allowed = frozenset(shape.enum)
    low, high = shape.metadata.get("min", 0), shape.metadata.get("max", math.inf)
    check_length = _bounds(shape, "length")

    def check(value: Any, path: Path, broken: list[str]) -> str:
        if type(value) is not str:
            raise _wrong_type(path, "a string", value)
        if not low <= len(value) <= high:
            check_length(len(value), value, path, broken)
        if "\x00" in value:  # PostgreSQL cannot store it
            broken.append(_violation(value, path, "Member must not contain the character U+0000"))
        if allowed and value not in allowed:
            broken.append(_violation(value, path, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"))
        if full_match is not None and full_match(value) is None:
            broken.append(_violation(value, path, f"Member must satisfy regular expression pattern: {written}"))
        return value

    return check


def _integer(shape: Any) -> Checker:
    limit = 1 << _INTEGER_BITS[shape.type_name]
    check_range = _bounds(shape, "value")

    def check(value: Any, path: Path, broken: list[str]) -> int:
        if type(value) is not int or not -limit <= value < limit:
            raise _wrong_type(path, f"a whole number of {_INTEGER_BITS[shape.type_name] + 1} bits", value)
        check_range(value, value, path, broken)
        return value

    return check


def _number(shape: Any) -> Checker:
    check_range = _bounds(shape, "value")
    wanted = "epoch seconds as a number" if shape.type_name == "timestamp" else "a number"

    def check(value: Any, path: Path, broken: list[str]) -> float:
        if type(value) not in (int, float) or not math.isfinite(value):
            raise _wrong_type(path, wanted, value)
        check_range(value, value, path, broken)
        return float(value)

    return check


def _boolean(_shape: Any) -> Checker:
    def check(value: Any, path: Path, _broken: list[str]) -> bool:
        if type(value) is not bool:
            raise _wrong_type(path, "true or false", value)
        return value

    return check


def _bounds(shape: Any, what: str) -> Callable[[float, Any, Path, list[str]], None]:
    low, high = shape.metadata.get("min", -math.inf), shape.metadata.get("max", math.inf)

    def check(size: float, value: Any, path: Path, broken: list[str]) -> None:
        if size < low:
            broken.append(_violation(value, path, f"Member must have {what} greater than or equal to {low}"))
        elif size > high:
            broken.append(_violation(value, path, f"Member must have {what} less than or equal to {high}"))

    return check


def _text(path: Path) -> str:
    steps = []
    while path is not None:
        path, step = path
        steps.append(step)
    return ".".join(reversed(steps))


def _missing(path: Path) -> str:
    return f"Value null at '{_text(path)}' failed to satisfy constraint: Member must not be null"


def _violation(value: Any, path: Path, rule: str) -> str:
    shown = str(value)
    shown = shown if len(shown) <= 100 else shown[:100] + "…"
    return f"Value '{shown}' at '{_text(path)}' failed to satisfy constraint: {rule}"


def _wrong_type(path: Path, wanted: str, value: Any) -> Serialization:
    given = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    where = f"Member '{_text(path)}'" if path else "The request body"
    return Serialization(f"{where} must be {wanted}, not {given.get(type(value), 'this number')}.")


# Answers ------------------------------------------------------------------------------------------------


def _shaper(shape: Any) -> Shaper:
    if shape.type_name == "structure":
        members = {name: _shaper(member) for name, member in shape.members.items()}
        return lambda value: {
            name: shaper(value[name]) for name, shaper in members.items() if value.get(name) is not None
        }
    if shape.type_name == "list":
        shape_member = _shaper(shape.member)
        return lambda value: [shape_member(member) for member in value]
    if shape.type_name == "timestamp":
        return lambda value: round(value.timestamp(), 3) if hasattr(value, "timestamp") else value
    return lambda value: value
