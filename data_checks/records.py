"""Rules that Items, Users and Actions share: one record an id, the newest counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_checks import columns
from data_checks.rules import Rule, none, share

if TYPE_CHECKING:
    from pipelines.datasets.schema import Schema


def rules(schema: Schema, things: str) -> list[Rule]:
    """Rules for records of `things` ("items")."""
    return [
        Rule(f"minimum {things}", "rows", "critical", "The files hold no usable row.", minimum=1),
        *columns.conformance(schema),
        none(
            "each id once",
            "duplicates",
            "Several rows had the same id; only the last of each, in the order of the files, was kept.",
        ),
        *columns.fields(schema),
        columns.drift_of_rows(things),
        share(
            f"new {things}",
            f"drift:new_{things}",
            f"Most {things} of this FULL import were not in the dataset before: have their ids changed?",
            0.5,
        ),
    ]


def few(things: str) -> Rule:
    """A warning below fifty."""
    return Rule(things, "rows", "warning", f"A recommender learns little from fewer than 50 {things}.", minimum=50)


def created_later(schema: Schema) -> list[Rule]:
    """Whether CREATION_TIMESTAMP lies in the past, where the schema has it."""
    if "CREATION_TIMESTAMP" not in schema.names:
        return []
    meaning = "Records were created more than a day after the import began: is the clock, or the time zone, wrong?"
    return [share("nothing created in the future", "future_share", meaning, 0)]
