"""Rules for Action_Interactions (spec: datasets.md section 6, action data meaning)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_checks import events
from data_checks.rules import Rule

if TYPE_CHECKING:
    from pipelines.datasets.schema import Schema


def rules(schema: Schema) -> list[Rule]:
    """What action interactions of this schema must fulfil."""
    return [
        Rule("minimum action interactions", "rows", "critical", "The files hold no usable row.", minimum=1),
        Rule(
            "actions with a score",
            "scored_actions",
            "warning",
            "An action's score stays 0 until it has 50 TAKEN and 50 NOT_TAKEN or VIEWED rows; let events come in first.",
            minimum=1,
        ),
        *events.rules(schema, "action"),
    ]
