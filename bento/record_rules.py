"""What a streamed item, user or action must be (spec/datasets.md section 6): checks only, no database.

A record is whole: it takes the place of what was known under its id, so every field that its schema does not let be
null must be there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bento.property_rules import PropertyRules, property_keys, required_keys
from pipelines.datasets.schema import DatasetType, property_name, read_schema


@dataclass(frozen=True, slots=True)
class RecordType:
    """One operation's records: into which type of data set, and what the members of its call are called."""

    dataset_type: DatasetType
    records: str
    """The member that lists them."""
    id: str
    """The member with a record's id."""


RECORD_TYPES = {
    "PutItems": RecordType("ITEMS", "items", "itemId"),
    "PutUsers": RecordType("USERS", "users", "userId"),
    "PutActions": RecordType("ACTIONS", "actions", "actionId"),
}
"""By operation."""


def record_properties(schema: str, dataset_type: DatasetType) -> PropertyRules:
    """The rules of `properties` from the data set's schema (Avro JSON)."""
    typed = read_schema(schema, dataset_type)
    ids = frozenset(property_name(name).lower() for name in typed.id_columns)
    name = f"the {dataset_type.capitalize()} schema"
    return PropertyRules(name, property_keys(typed.fields), ids, required_keys(typed.fields, ids))


def record_rows(call: Mapping[str, Any], records: RecordType, rules: PropertyRules) -> list[dict[str, Any]]:
    """The rows of `records` for a call, in its order; raises InvalidInput naming the record, the key and the rule."""
    return [
        {
            "record_id": record[records.id],
            "properties": rules.parse(record.get("properties"), f"{records.records}[{position}].properties") or None,
        }
        for position, record in enumerate(call[records.records])
    ]
