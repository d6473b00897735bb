"""Rules for Interactions (spec: datasets.md sections 3, 7 and 12; resources.md section 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_checks import events
from data_checks.rules import Rule, share
from pipelines.datasets.schema import EVENT_TYPE, MAX_TYPES_AND_COLUMNS, optional_columns

if TYPE_CHECKING:
    from pipelines.datasets.schema import Schema

# Unlike AWS, data: the minimum of 1,000 rows of an import is a rule like the others and can be set (`openpersonalize
# checks`). A small shop may try with less.
MIN_ROWS = 1_000
MIN_RETURNING_USERS = 25


def rules(schema: Schema) -> list[Rule]:
    """What interactions of this schema must fulfil."""
    minimum = Rule(
        "minimum rows",
        "rows",
        "critical",
        "An interactions import needs at least 1,000 rows that are good and not equal to each other.",
        minimum=MIN_ROWS,
    )
    return [minimum, *_training(schema), *events.rules(schema, "item"), _idle()]


def _training(schema: Schema) -> list[Rule]:
    """What a training asks for; more may be imported or streamed before it."""
    rules = [
        Rule(
            "returning users",
            "returning_users",
            "warning",
            "Training needs 25 users with at least two interactions each; import more, or let events come in first.",
            minimum=MIN_RETURNING_USERS,
        ),
        Rule(
            "share of returning users",
            "returning_share",
            "warning",
            "Training needs at least 1 % of the users to have two interactions or more.",
            minimum=0.01,
            is_share=True,
        ),
        Rule("users", "users", "warning", "A recommender learns little from fewer than 50 users.", minimum=50),
        Rule("items", "items", "warning", "A recommender learns little from fewer than 50 items.", minimum=50),
    ]
    if EVENT_TYPE in schema.names:
        optional = optional_columns(schema.names)
        meaning = (
            f"Training refuses more than {MAX_TYPES_AND_COLUMNS} event types and optional columns together, and these are "
            f"{', '.join(optional)}: merge event types, or exclude columns from training."
        )
        most = MAX_TYPES_AND_COLUMNS - len(optional)
        rules.append(Rule("event types", "event_types", "warning", meaning, maximum=most))
    return rules


def _idle() -> Rule:
    meaning = (
        "Most items of the items dataset have no interaction at all: are the ids written alike, and is the time that the "
        "interactions cover long enough?"
    )
    return share("items without interactions", "idle_item_share", meaning, 0.5)
