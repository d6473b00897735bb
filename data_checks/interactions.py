"""Rules for Interactions (spec: datasets.md sections 3, 7 and 12; resources.md section 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_checks.rules import MAX_DUPLICATE_SHARE, Rule, for_any_type

if TYPE_CHECKING:
    from pipelines.datasets.schema import Schema

MIN_ROWS = 1_000
MIN_RETURNING_USERS = 25


def rules(schema: Schema) -> list[Rule]:
    """What interactions of this schema must fulfil; critical rules first."""
    critical = Rule(
        "minimum rows",
        "rows",
        "critical",
        "An interactions import needs at least 1,000 rows that are good and not equal to each other.",
        minimum=MIN_ROWS,
    )
    return sorted([critical, *for_any_type(schema), *_advice(schema)], key=lambda rule: rule.severity != "critical")


def _advice(schema: Schema) -> list[Rule]:
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
        Rule(
            "more than one moment",
            "seconds_covered",
            "warning",
            "All rows carry the same timestamp, so there is no order to learn from.",
            minimum=1,
        ),
        Rule(
            "nothing from the future",
            "future_share",
            "warning",
            "Rows are dated more than a day after the import began: is the clock, or the time zone, wrong?",
            maximum=0,
            is_share=True,
        ),
        Rule(
            "equal rows",
            "duplicate_share",
            "warning",
            "Rows equal in every field count once; this many suggest that an export ran twice.",
            maximum=MAX_DUPLICATE_SHARE,
            is_share=True,
        ),
        Rule("users", "users", "warning", "A recommender learns little from fewer than 50 users.", minimum=50),
        Rule("items", "items", "warning", "A recommender learns little from fewer than 50 items.", minimum=50),
        Rule(
            "busiest user",
            "top_user_share",
            "warning",
            "One user made a large part of the interactions: a bot, a test account, or an id that stands for many?",
            maximum=0.10,
            is_share=True,
        ),
        Rule(
            "most popular item",
            "top_item_share",
            "warning",
            "One item drew most of the interactions: is it a placeholder, or a page that everybody passes?",
            maximum=0.50,
            is_share=True,
        ),
    ]
    if "EVENT_TYPE" in schema.names:
        meaning = "Training refuses data with more than 10 event types."
        rules.append(Rule("event types", "event_types", "warning", meaning, maximum=10))
    return rules
