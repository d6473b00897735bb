"""Rules for Users (spec: datasets.md sections 3 and 12)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_checks.rules import Rule, for_metadata

if TYPE_CHECKING:
    from pipelines.datasets.schema import Schema


def rules(schema: Schema) -> list[Rule]:
    """What users of this schema must fulfil; critical rules first."""
    advice = Rule("users", "rows", "warning", "A recommender learns little from fewer than 50 users.", minimum=50)
    return sorted([*for_metadata(schema), advice], key=lambda rule: rule.severity != "critical")
