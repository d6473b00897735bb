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

NUMBERS = ("float", "double", "int", "long")
TYPES = (*NUMBERS, "string", "boolean")
FLAGS = ("categorical", "textual", "itemName")
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
    item_name: bool

    def __str__(self) -> str:
        marks = (("categorical", self.categorical), ("textual", self.textual), ("itemName", self.item_name))
        kind = f"{self.type} or null" if self.nullable else self.type
        return ", ".join([kind, *(name for name, marked in marks if marked)])


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


def dataset_type(schema: str) -> str:
    """The dataset type (`INTERACTIONS`, …) that a schema, checked before, is for."""
    return _kind(_load(schema))


def names(schema: str) -> list[str]:
    """The fields' names of a schema, checked before, in its order."""
    return [field.name for field in _fields(_load(schema))]


def check_replacement(old: str, new: str) -> None:
    """Raise InvalidInput unless `new` has every field of `old` as it was (spec: datasets.md section 11)."""
    given = {field.name: field for field in _fields(_load(new))}
    for field in _fields(_load(old)):
        if field.name not in given:
            raise _refused(field.name, "is missing: a schema that replaces another must keep all of its fields")
        if given[field.name] != field:
            raise _refused(
                field.name, f"is {given[field.name]}; a schema that replaces another must keep it as {field}"
            )


def _load(schema: str) -> dict[str, Any]:
    try:
        document = orjson.loads(schema)
    except orjson.JSONDecodeError as failure:
        raise InvalidInput(f"schema: not valid JSON: {failure}.") from None
    if not isinstance(document, dict) or document.get("type") != "record":
        raise InvalidInput('schema: must be an Avro record: a JSON object with "type": "record".')
    if not isinstance(document.get("namespace", ""), str):
        raise InvalidInput(f"schema: namespace is {document['namespace']!r}; it must be a string.")
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
    return Field(name, types[0], "null" in union, *(bool(declared.get(flag)) for flag in FLAGS))


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
    if rules.needs_usable and not any(f.categorical or f.type in NUMBERS for f in fields.values()):
        raise InvalidInput("schema: needs at least one field that is categorical or a number.")
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
    for flag, marked in (
        ("textual", [field.name for field in fields if field.textual]),
        ("itemName", [field.name for field in fields if field.item_name]),
    ):
        if marked and kind != "ITEMS":
            raise _refused(marked[0], f"{flag} is allowed in schemas of Items only")
        if len(marked) > 1:
            raise _refused(marked[1], f"only one field can be {flag}, and {marked[0]} is")


def _refused(name: str, rule: str) -> InvalidInput:
    return InvalidInput(f"schema: field {name}: {rule}.")
