"""Rules that Interactions and Action_Interactions share: rows are events of a user at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_checks import columns
from data_checks.rules import Rule, none, share

if TYPE_CHECKING:
    from pipelines.datasets.schema import Schema

MAX_DUPLICATE_SHARE = 0.05
MAX_NEW_SHARE = 0.5
MAX_UNKNOWN_USERS = 0.10
MAX_UNKNOWN_THINGS = 0.01
MAX_GAP_DAYS = 2
"""A weekend."""


def rules(schema: Schema, thing: str) -> list[Rule]:
    """Rules for events with a `thing` ("item" or "action")."""
    advice = [*_times(), *_people(thing), *_others(thing)]
    return [*columns.conformance(schema), *advice, *columns.fields(schema), columns.drift_of_rows("events")]


def _times() -> list[Rule]:
    return [
        Rule(
            "more than one moment",
            "seconds_covered",
            "warning",
            "All rows carry the same timestamp, so there is no order to learn from: export the moment of each event.",
            minimum=1,
            unit="seconds",
        ),
        share(
            "nothing from the future",
            "future_share",
            "Rows are dated more than a day after the import began: is the clock, or the time zone, wrong?",
            0,
        ),
        share(
            "nothing from before 1990",
            "ancient_share",
            "TIMESTAMP is seconds since 1970, and these lie before 1990: were dates written as numbers (20240131), or in minutes?",
            0,
        ),
        Rule(
            "no holes in time",
            "longest_gap",
            "warning",
            "Days without any row lie between days that have rows day by day: did an export fail? Import the missing days.",
            maximum=MAX_GAP_DAYS,
            unit="days",
        ),
        share(
            "equal rows",
            "duplicate_share",
            "Rows equal in every field count once; this many suggest that an export ran twice.",
            MAX_DUPLICATE_SHARE,
        ),
    ]


def _people(thing: str) -> list[Rule]:
    return [
        share(
            "busiest user",
            "top_user_share",
            "One user made a large part of the rows: a bot, a test account, or an id that stands for many? Leave it out.",
            0.10,
        ),
        share(
            f"most popular {thing}",
            f"top_{thing}_share",
            f"One {thing} drew most of the rows: is it a placeholder, or a page that everybody passes?",
            0.50,
        ),
        none(
            "users at the pace of a machine",
            "rushing_users",
            "Users with 1,000 events or more within an hour are hardly people: leave crawlers, monitors and test accounts out.",
        ),
        none(
            "users with bursts",
            "bursting_users",
            "Users with 100 events or more in one second: bots, or events that were dated when they were loaded?",
        ),
    ]


def _others(thing: str) -> list[Rule]:
    return [
        share(
            f"unknown {thing}s",
            f"unknown_{thing}_share",
            f"Rows name {thing}s that the group's {thing}s dataset does not hold, so filters and metadata do not reach "
            f"them: import those {thing}s, or see whether the ids are written alike.",
            MAX_UNKNOWN_THINGS,
        ),
        share(
            "unknown users",
            "unknown_user_share",
            "Rows name users that the group's users dataset does not hold: import those users, or see whether the ids are written alike.",
            MAX_UNKNOWN_USERS,
        ),
        share(
            "new users",
            "drift:new_users",
            "Most users were never seen before in this dataset: have their ids changed?",
            MAX_NEW_SHARE,
        ),
        share(
            f"new {thing}s",
            f"drift:new_{thing}s",
            f"Most {thing}s were never seen before in this dataset: have their ids changed?",
            MAX_NEW_SHARE,
        ),
    ]
