"""A dataset's Avro schema as the importer reads it (spec: datasets.md section 2).

The control plane has checked the schema when it was created; here it is only made typed. What can't be read
is refused again, because stages and tests come in by this door without the control plane.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

DatasetType = Literal["INTERACTIONS", "ITEMS", "USERS", "ACTIONS", "ACTION_INTERACTIONS"]

USER_ID = "USER_ID"
ITEM_ID = "ITEM_ID"
ACTION_ID = "ACTION_ID"
TIMESTAMP = "TIMESTAMP"
CREATION_TIMESTAMP = "CREATION_TIMESTAMP"
EVENT_TYPE = "EVENT_TYPE"
EVENT_VALUE = "EVENT_VALUE"
MAX_TYPES_AND_COLUMNS = 10
"""Distinct event types and optional columns of Interactions together, to be trained on (sections 2.1 and 7)."""
ARRIVAL = "arrival number"
"""Beside the fields, int64: which number a streamed row came in with. With a space, as no field can be called."""

ID_COLUMNS: Mapping[DatasetType, tuple[str, ...]] = {
    "INTERACTIONS": (USER_ID, ITEM_ID),
    "ITEMS": (ITEM_ID,),
    "USERS": (USER_ID,),
    "ACTIONS": (ACTION_ID,),
    "ACTION_INTERACTIONS": (USER_ID, ACTION_ID),
}
REQUIRED_COLUMNS: Mapping[DatasetType, tuple[str, ...]] = {
    "INTERACTIONS": (USER_ID, ITEM_ID, TIMESTAMP),
    "ITEMS": (ITEM_ID,),
    "USERS": (USER_ID,),
    "ACTIONS": (ACTION_ID,),
    "ACTION_INTERACTIONS": (USER_ID, ACTION_ID, TIMESTAMP, EVENT_TYPE),
}
EVENT_LOGS: frozenset[DatasetType] = frozenset({"INTERACTIONS", "ACTION_INTERACTIONS"})
"""Types whose rows are events: every distinct one counts. Of the others the newest record of an id does."""

# Avro type -> type of the Parquet column, in DuckDB's words.
COLUMN_TYPES = {
    "string": "VARCHAR",
    "float": "FLOAT",
    "double": "DOUBLE",
    "int": "INTEGER",
    "long": "BIGINT",
    "boolean": "BOOLEAN",
}


class SchemaError(ValueError):
    """The schema can't be read; the message names the field and the rule."""


@dataclass(frozen=True)
class Field:
    """One column of a dataset."""

    name: str
    avro: str
    """string, float, double, int, long or boolean."""
    nullable: bool = False
    categorical: bool = False
    textual: bool = False

    @property
    def column_type(self) -> str:
        """The Parquet column's type, in DuckDB's words."""
        return COLUMN_TYPES[self.avro]


@dataclass(frozen=True)
class Schema:
    """The fields of one dataset, in the schema's order."""

    dataset_type: DatasetType
    fields: tuple[Field, ...]
    avro: Mapping[str, Any]
    """The schema as it was given: it goes into the snapshot's manifest."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields)

    @property
    def id_columns(self) -> tuple[str, ...]:
        return ID_COLUMNS[self.dataset_type]

    @property
    def is_event_log(self) -> bool:
        """Whether rows are events (all distinct ones count) or records (the newest of each id counts)."""
        return self.dataset_type in EVENT_LOGS

    @property
    def metadata(self) -> tuple[Field, ...]:
        """The fields that are not ids, in the schema's order."""
        return tuple(field for field in self.fields if field.name not in self.id_columns)


def optional_columns(names: Iterable[str]) -> list[str]:
    """Of the columns of Interactions those that count beside event types: EVENT_TYPE, EVENT_VALUE and its own ones."""
    others = (USER_ID, ITEM_ID, TIMESTAMP, "IMPRESSION", "RECOMMENDATION_ID", "EVENT_ATTRIBUTION_SOURCE", ARRIVAL)
    return [name for name in names if name not in others]


def property_name(field: str) -> str:
    """The key of a field in `properties` of streamed records: NUM_RATINGS -> numRatings (spec: datasets.md section 6)."""
    first, *rest = field.lower().split("_")
    return first + "".join(word.capitalize() for word in rest)


def read_schema(document: str | Mapping[str, Any], dataset_type: DatasetType) -> Schema:
    """A typed schema from its Avro JSON; raises SchemaError."""
    avro = json.loads(document) if isinstance(document, str) else dict(document)
    if not isinstance(avro, dict) or not isinstance(avro.get("fields"), list):
        raise SchemaError("the schema must be an Avro record with a list of fields")
    fields = tuple(_field(entry) for entry in avro["fields"])
    missing = [name for name in REQUIRED_COLUMNS[dataset_type] if name not in {field.name for field in fields}]
    if missing:
        raise SchemaError(f"the schema of {dataset_type} lacks the required field {', '.join(missing)}")
    return Schema(dataset_type=dataset_type, fields=fields, avro=avro)


def smallest_schema(dataset_type: DatasetType) -> Schema:
    """The required fields only: what stands for a dataset that the group does not have."""
    avro = {
        "type": "record",
        "name": dataset_type.title().replace("_", ""),
        "namespace": "com.amazonaws.personalize.schema",
        "fields": [
            {"name": name, "type": "long" if name == TIMESTAMP else "string"} for name in REQUIRED_COLUMNS[dataset_type]
        ],
        "version": "1.0",
    }
    return read_schema(avro, dataset_type)


def _field(entry: Any) -> Field:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise SchemaError(f"field {entry!r} must be an object with a name and a type")
    given = entry.get("type")
    types = given if isinstance(given, list) else [given]
    named = [kind for kind in types if kind != "null"]
    if len(named) != 1 or named[0] not in COLUMN_TYPES:
        raise SchemaError(
            f"field {entry['name']}: type {given!r} must be one of {', '.join(COLUMN_TYPES)}, or a union of one with null"
        )
    return Field(
        name=entry["name"],
        avro=named[0],
        nullable="null" in types,
        categorical=bool(entry.get("categorical")),
        textual=bool(entry.get("textual")),
    )
