"""Rules for Users (spec: datasets.md sections 3 and 12)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_checks import records

if TYPE_CHECKING:
    from data_checks.rules import Rule
    from pipelines.datasets.schema import Schema


def rules(schema: Schema) -> list[Rule]:
    """What users of this schema must fulfil."""
    return [*records.rules(schema, "users"), records.few("users")]
