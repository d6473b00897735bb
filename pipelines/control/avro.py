"""Schemas: the subset of Avro that datasets are described in, checked rule by rule (spec/datasets.md section 2).

Every refusal is an InvalidInput that names the field and the rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from pipelines.aws.errors import InvalidInput
from pipelines.control.avro_rules import RULES, Fixed, Rules

TYPES = ("float", "double", "int", "long", "string", "boolean")
FLAGS = ("categorical", "textual", "itemName")
MOST_EVENT_COLUMNS = 10
_NAME = re.compile(r"[A-Za-z_][A-Za-z\d_]{0,149}", re.ASCII)
_RECORD_NAMES = {
    "INTERACTIONS": "INTERACTIONS",
    "ITEMS": "ITEMS",
    "USERS": "USERS",
    "ACTIONS": "ACTIONS",
    "ACTIONINTERACTIONS": "ACTION_INTERACTIONS",
    "ACTION_INTERACTIONS": "ACTION_INTERACTIONS",
}


@dataclass(frozen=True)
class Field:
    """One field of a schema, made typed."""

    name: str
    type: str
    nullable: bool
    categorical: bool
    textual: bool


def check(schema: str, domain: str | None) -> None:
    """Raise InvalidInput unless `schema` describes a dataset (of a domain group, if `domain` is given)."""
    document = _load(schema)
    kind = _kind(document)
    fields = list(_fields(document))
    _check_names(fields)
    rules = RULES[domain].get(kind)
    if rules is None:
        raise InvalidInput(f"schema: a {domain} dataset group has no {document['name']} dataset.")
    _check_rules({field.name: field for field in fields}, rules)
    _check_text(fields, kind)
    if kind == "INTERACTIONS":
        _check_event_columns(fields, rules)


def dataset_type(schema: str) -> str:
    """The dataset type (`INTERACTIONS`, …) that a schema, checked before, is for."""
    return _kind(_load(schema))


def _load(schema: str) -> dict[str, Any]:
    try:
        document = orjson.loads(schema)
    except orjson.JSONDecodeError as failure:
        raise InvalidInput(f"schema: not valid JSON: {failure}.") from None
    if not isinstance(document, dict) or document.get("type") != "record":
        raise InvalidInput('schema: must be an Avro record: a JSON object with "type": "record".')
    return document


def _kind(document: Mapping[str, Any]) -> str:
    name = document.get("name")
    kind = _RECORD_NAMES.get(name.upper()) if isinstance(name, str) else None
    if kind is None:
        raise InvalidInput(
            f"schema: name is {name!r}; it must be Interactions, Items, Users, Actions or ActionInteractions."
        )
    return kind


def _fields(document: Mapping[str, Any]) -> Iterator[Field]:
    fields = document.get("fields")
    if not isinstance(fields, list) or not fields:
        raise InvalidInput("schema: fields must be a list with at least one field.")
    for position, declared in enumerate(fields):
        name = declared.get("name") if isinstance(declared, dict) else None
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InvalidInput(
                f"schema: fields[{position}]: name is {name!r}; it must match [A-Za-z_][A-Za-z0-9_]*, "
                "at most 150 characters."
            )
        yield _field(name, declared)


def _field(name: str, declared: Mapping[str, Any]) -> Field:
    declared_type = declared.get("type")
    union = declared_type if isinstance(declared_type, list) else [declared_type]
    types = [entry for entry in union if entry != "null"]
    if len(types) != 1 or len(union) > 2 or types[0] not in TYPES:
        raise _refused(name, f"type is {declared_type!r}; it must be one of {', '.join(TYPES)}, or a union with null")
    for flag in FLAGS:
        if type(declared.get(flag, False)) is not bool:
            raise _refused(name, f"{flag} must be true or false")
        if declared.get(flag) and types[0] != "string":
            raise _refused(name, f"{flag} needs the type string, not {types[0]}")
    if declared.get("categorical") and declared.get("textual"):
        raise _refused(name, "it cannot be categorical and textual at once")
    return Field(name, types[0], "null" in union, bool(declared.get("categorical")), bool(declared.get("textual")))


def _check_names(fields: list[Field]) -> None:
    seen: dict[str, str] = {}
    for field in fields:
        bare = re.sub(r"[^A-Za-z0-9]", "", field.name).upper()
        if bare in seen:
            raise _refused(field.name, f"clashes with {seen[bare]}: names must differ in letters and digits alone")
        seen[bare] = field.name


def _check_rules(fields: Mapping[str, Field], rules: Rules) -> None:
    missing = [name for name in rules.required if name not in fields]
    missing += [" or ".join(names) for names in rules.one_of if not any(name in fields for name in names)]
    if missing:
        raise InvalidInput(f"schema: required field missing: {', '.join(missing)}.")
    known = {**rules.reserved, **rules.required}
    for name, fixed in known.items():
        if name in fields:
            _check_fixed(fields[name], fixed)
    own = [name for name in fields if name not in known]
    if rules.needs_metadata and len(fields) < 2:
        raise InvalidInput("schema: needs at least one metadata field besides the id.")
    if rules.most_metadata is not None and len(own) > rules.most_metadata:
        raise InvalidInput(f"schema: {len(own)} metadata fields; at most {rules.most_metadata} are allowed.")
    if rules.most_fields is not None and len(fields) > rules.most_fields:
        raise InvalidInput(f"schema: {len(fields)} fields; at most {rules.most_fields} are allowed.")


def _check_fixed(field: Field, fixed: Fixed) -> None:
    allowed = (fixed.type,) if isinstance(fixed.type, str) else fixed.type
    if field.type not in allowed:
        raise _refused(field.name, f"must have the type {' or '.join(allowed)}, not {field.type}")
    if field.nullable and not fixed.nullable:
        raise _refused(field.name, "is required in every row: its type cannot be a union with null")
    for flag, wanted in (("categorical", fixed.categorical), ("textual", fixed.textual)):
        if wanted is not None and getattr(field, flag) != wanted:
            raise _refused(field.name, f'must {"" if wanted else "not "}be "{flag}": true')


def _check_text(fields: list[Field], kind: str) -> None:
    textual = [field.name for field in fields if field.textual]
    if textual and kind != "ITEMS":
        raise _refused(textual[0], "textual is allowed in schemas of Items only")
    if len(textual) > 1:
        raise _refused(textual[1], f"only one field can be textual, and {textual[0]} is")


def _check_event_columns(fields: list[Field], rules: Rules) -> None:
    optional = [field.name for field in fields if field.name not in rules.required]
    if len(optional) > MOST_EVENT_COLUMNS:
        raise InvalidInput(f"schema: {len(optional)} optional fields; at most {MOST_EVENT_COLUMNS} are allowed.")


def _refused(name: str, rule: str) -> InvalidInput:
    return InvalidInput(f"schema: field {name}: {rule}.")
