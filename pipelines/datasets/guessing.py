"""The schema of a table that nobody has described: dataset type, fields and what must be changed on the way in.

Only a sample is looked at. What the guess gets wrong the checks find, because the whole file is read by that schema
before anything is created.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.datasets import column_names
from pipelines.datasets.errors import ImportRefused
from pipelines.datasets.sampling import Facts, first_rows, measure
from pipelines.datasets.schema import REQUIRED_COLUMNS, TIMESTAMP, DatasetType, read_schema
from pipelines.datasets.source import SourceFile
from pipelines.datasets.values import MOMENTS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

OWN_COLUMNS = {"INTERACTIONS": 5, "ITEMS": 100, "USERS": 25, "ACTIONS": 5, "ACTION_INTERACTIONS": 5}
"""How many fields of their own a guess takes; of Actions and Action_Interactions as of Interactions."""
CATEGORIES = 1_000
"""More different values than these are no categories."""
MANY_TYPES = 100
"""A column of more different values than these tells no types of events."""
LAST_YEAR = 9_999
"""Numbers up to this are years, not moments."""
LONG_TEXT = 60
"""Characters on average from which on an item's text is read as language."""
TITLES = frozenset({"title", "name", "itemname", "producttitle", "productname", "movietitle"})
_CODES = re.compile(r"(id|ids|code|zip|postcode|zipcode|sku|isbn|type|category)$")
UNITS = {1e11: ("seconds", 1), 1e14: ("milliseconds", 1_000), 1e17: ("microseconds", 10**6)}
NANOSECONDS = ("nanoseconds", 10**9)


@dataclass(frozen=True)
class Change:
    """A column that a copy has otherwise: another name, or whole seconds instead of what it says."""

    column: str
    field: str
    moments: str = ""
    """What the values are, if not epoch seconds: `milliseconds`, `dates`, …"""
    example: str = ""

    def __str__(self) -> str:
        name = f"{self.column} -> {self.field}" if self.column != self.field else self.field
        return f"{name}: {self.moments}, such as {self.example}, become epoch seconds" if self.moments else name


@dataclass(frozen=True)
class Guess:
    """How a table can be imported."""

    dataset_type: DatasetType
    avro: Mapping[str, Any]
    columns: Mapping[str, str]
    """Field -> column of the files."""
    changes: tuple[Change, ...] = ()
    """Empty: the files can be imported as they are."""
    notes: tuple[str, ...] = ()
    sample: Sequence[Mapping[str, str | None]] = field(default_factory=list)
    """The first rows by column."""


def dataset_type_of(file: SourceFile, header: Sequence[str]) -> DatasetType:
    """Which type of dataset a file holds; raises ImportRefused when its columns do not say."""
    kind = column_names.dataset_type(header, Path(file.name).name)
    if kind is None:
        raise ImportRefused(
            f"{file.name}: no column says what a row is about. Its columns are {', '.join(header)}; there should be one "
            f"for the user and one for the item (USER_ID, ITEM_ID), or --type must say what the table holds"
        )
    return kind


def guess(connection: DuckDBPyConnection, file: SourceFile, header: Sequence[str], kind: DatasetType) -> Guess:
    """From table sample of the first file; raises ImportRefused, naming what is missing or cannot be read."""
    roles = column_names.roles(header, kind)
    missing = [name for name in REQUIRED_COLUMNS[kind] if name not in roles and name != "EVENT_TYPE"]
    missing += ["EVENT_TYPE"] if kind == "ACTION_INTERACTIONS" and "EVENT_TYPE" not in roles else []
    if missing:
        raise ImportRefused(
            f"{file.name}: a table of {kind} needs a column {' and '.join(missing)}, and none of {', '.join(header)} is "
            f"called so. Rename the right one, or say --type if the table holds something else"
        )
    facts = {column: measure(connection, column) for column in header}
    fields, columns, notes = _fields(kind, header, roles, facts)
    changes = _changes(columns, facts, header)
    avro = {
        "type": "record",
        "name": kind.title().replace("_", ""),
        "namespace": "com.amazonaws.personalize.schema",
        "fields": fields,
        "version": "1.0",
    }
    return Guess(kind, avro, columns, tuple(changes), tuple(notes), first_rows(connection))


# Fields -------------------------------------------------------------------------------------------------------


def _fields(
    kind: DatasetType, header: Sequence[str], roles: Mapping[str, str], facts: Mapping[str, Facts]
) -> tuple[list[dict[str, Any]], dict[str, str], list[str]]:
    """Avro fields, field -> column, and what a person should know of the columns that are left out."""
    fields: list[dict[str, Any]] = []
    columns: dict[str, str] = {}
    notes: list[str] = []
    for name, column in roles.items():
        declared = _reserved(kind, name, facts[column])
        if declared is not None:
            fields.append({"name": name, **declared})
            columns[name] = column
    own = [column for column in header if column not in columns.values()]
    marks = _marks(kind, own, facts)
    for column in own:
        name = column_names.field_name(column)
        reason = _left_out(name, columns, facts[column])
        if reason is None and sum(known not in roles for known in columns) >= OWN_COLUMNS[kind]:
            reason = f"a schema of {kind} takes {OWN_COLUMNS[kind]} columns of its own"
        if reason is not None:
            notes.append(f"column {column!r} is left out: {reason}")
            continue
        fields.append({"name": name, **_own(column, facts[column]), **marks.get(column, {})})
        columns[name] = column
    return fields, columns, notes


def _left_out(name: str, taken: Mapping[str, str], facts: Facts) -> str | None:
    if not name:
        return "its name has no letters or digits"
    clash = next((known for known in taken if known.replace("_", "") == name.replace("_", "")), None)
    if clash is not None:
        return f"its name would be that of {clash}"
    return None if facts.filled else "it is empty"


def _reserved(kind: DatasetType, name: str, facts: Facts) -> dict[str, Any] | None:
    """The fixed type of a field that a type knows; None when the column cannot be that field."""
    if name in REQUIRED_COLUMNS[kind]:
        return {"type": "long" if name == TIMESTAMP else "string"}
    if name in MOMENTS:
        is_moment = facts.largest > LAST_YEAR if facts.number else facts.date
        return {"type": ["null", "long"]} if is_moment else None
    if name in ("EVENT_VALUE", "VALUE"):
        return {"type": ["null", "float"]} if facts.number else None
    if name == "REPEAT_FREQUENCY":
        return {"type": ["null", "int"]} if facts.whole else None
    if name == "EVENT_TYPE" and facts.distinct > MANY_TYPES:
        return None
    return {"type": ["null", "string"]}


def _own(column: str, facts: Facts) -> dict[str, Any]:
    """A type for a column of the user's own; it may be empty further down, so it is nullable."""
    if facts.boolean:
        return {"type": ["null", "boolean"]}
    if facts.number and not _CODES.search(column_names.bare(column)):
        return {"type": ["null", "long" if facts.whole else "float"]}
    return {"type": ["null", "string"]}


def _marks(kind: DatasetType, own: Sequence[str], facts: Mapping[str, Facts]) -> dict[str, dict[str, bool]]:
    """Which string columns are categories, which one is an item's text, and which one its title."""
    strings = [c for c in own if facts[c].filled and "string" in _own(c, facts[c])["type"]]
    texts = [c for c in strings if facts[c].length >= LONG_TEXT] if kind == "ITEMS" else []
    titles = [c for c in strings if column_names.bare(c) in TITLES] if kind == "ITEMS" else []
    marks = {c: {"categorical": True} for c in strings if _is_category(facts[c])}
    if texts:
        marks[max(texts, key=lambda column: facts[column].length)] = {"textual": True}
    if titles:
        marks[titles[0]] = {"itemName": True}
    return marks


def _is_category(facts: Facts) -> bool:
    """Values that come again and again."""
    few = facts.distinct <= 50 or facts.distinct <= facts.filled / 2
    return few and facts.distinct <= CATEGORIES and facts.length < LONG_TEXT


# Changes ------------------------------------------------------------------------------------------------------


def _changes(columns: Mapping[str, str], facts: Mapping[str, Facts], header: Sequence[str]) -> list[Change]:
    """What a copy must have otherwise, in the files' order; raises ImportRefused for moments that nobody can read."""
    found = []
    for name, column in sorted(columns.items(), key=lambda item: header.index(item[1])):
        moments = _moments(name, column, facts[column]) if name in MOMENTS else ""
        # The importer reads headers in any case.
        if moments or column.upper() != name:
            found.append(Change(column, name, moments, facts[column].example))
    return found


def _moments(name: str, column: str, facts: Facts) -> str:
    """What the values of a time column are, unless whole epoch seconds."""
    if not facts.filled:
        return ""
    if facts.number:
        unit = next((found for limit, found in UNITS.items() if facts.largest < limit), NANOSECONDS)
        return "" if unit[1] == 1 and facts.whole else "fractions of seconds" if unit[1] == 1 else unit[0]
    if not facts.date:
        raise ImportRefused(
            f"column {column}, {name} in the schema, holds {facts.example!r}: it must be epoch seconds, or a date such as "
            f"2026-01-31 18:00:00 or 2026-01-31T18:00:00Z, from which they can be made"
        )
    return "dates"


def by_schema(
    connection: DuckDBPyConnection, header: Sequence[str], avro: Mapping[str, Any], kind: DatasetType
) -> Guess:
    """The same for a table whose schema is settled: which column is which field, and what must be changed for it."""
    schema = read_schema(avro, kind)
    known = {field: column for field, column in column_names.roles(header, kind).items() if field in schema.names}
    there = {column.upper(): column for column in header} | {column_names.field_name(c): c for c in reversed(header)}
    exact = {column.upper(): column for column in header}
    columns: dict[str, str] = {}
    for name in schema.names:
        column = exact.get(name.upper()) or known.get(name) or there.get(name.upper())
        if column is not None and column not in columns.values():
            columns[name] = column
    facts = {column: measure(connection, column) for column in columns.values()}
    spare = [
        f"column {column!r} is left out: the schema has no field for it" for column in header if column not in facts
    ]
    return Guess(kind, avro, columns, tuple(_changes(columns, facts, header)), tuple(spare), first_rows(connection))
