"""Rules for Actions (spec: datasets.md sections 2.1 and 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_checks import records
from data_checks.rules import Rule, share

if TYPE_CHECKING:
    from pipelines.datasets.schema import Schema

MAX_ACTIONS = 1_000
"""So many a model considers; of more it takes those that are new or in use."""


def rules(schema: Schema) -> list[Rule]:
    """What actions of this schema must fulfil."""
    many = "A model considers 1,000 actions; of more, new ones and those in use come first. Leave out what has ended."
    found = [
        *records.rules(schema, "actions"),
        Rule("actions", "rows", "warning", many, maximum=MAX_ACTIONS),
        *records.created_later(schema),
    ]
    if "ACTION_EXPIRATION_TIMESTAMP" in schema.names:
        meaning = (
            "Actions that have expired are never recommended: is ACTION_EXPIRATION_TIMESTAMP in seconds since 1970?"
        )
        found.append(share("expired actions", "expired_share", meaning, 0.5))
    return found
