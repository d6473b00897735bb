"""What was streamed of the users of some lines: as bento/histories.py reads it, and up to where the job began.

So a job that is killed and goes on later answers every line as it would have at first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

# Unlike AWS, serving: a batch job answers with all that was streamed until it began, of every user. On AWS that counts
# after a quarter of an hour and for users of the training only; a line should be answered as a request would be.
EVENTS = 100
"""The newest of each user, for a filter of each type, as in the runtime."""
MOST_TYPED = 2000
"""Of a user's events, so many are looked at for the newest of each type, as in the runtime."""

# `id + 0`: see bento/histories.py.
_EVENTS = text(f"""
    SELECT asked.user_key, newest.item_id, newest.sent_at FROM unnest(cast(:keys AS text[])) AS asked(user_key),
    LATERAL (
        SELECT item_id, sent_at, id FROM openpersonalize.events
        WHERE group_id = :owner AND user_key = asked.user_key AND id + 0 > :after AND id + 0 <= :until
              AND item_id IS NOT NULL
        ORDER BY sent_at DESC, id DESC LIMIT {EVENTS}
    ) AS newest ORDER BY asked.user_key, newest.sent_at DESC, newest.id DESC
""")
_TYPED = text(f"""
    SELECT asked.user_key, newest.item_id, newest.event_type FROM unnest(cast(:keys AS text[])) AS asked(user_key),
    LATERAL (
        SELECT item_id, event_type, row_number() OVER (PARTITION BY lower(event_type) ORDER BY sent_at DESC, id DESC) AS n
        FROM (
            SELECT item_id, event_type, sent_at, id FROM openpersonalize.events
            WHERE group_id = :owner AND user_key = asked.user_key AND id + 0 > :after AND id + 0 <= :until
                  AND item_id IS NOT NULL
            ORDER BY sent_at DESC, id DESC LIMIT {MOST_TYPED}
        ) AS latest
    ) AS newest WHERE newest.n <= {EVENTS} ORDER BY asked.user_key, newest.n
""")
_RECORDS = text("""
    SELECT asked.user_key, newest.properties FROM unnest(cast(:keys AS text[])) AS asked(user_key),
    LATERAL (
        SELECT coalesce((SELECT jsonb_object_agg(key, value) FROM jsonb_each_text(properties)), '{}') AS properties
        FROM openpersonalize.records
        WHERE dataset_id = :owner AND record_id = asked.user_key AND id > :after AND id <= :until
        ORDER BY id DESC LIMIT 1
    ) AS newest
""")


@dataclass(frozen=True)
class Window:
    """Rows of a dataset group's events, or of its Users dataset: numbered above `after`, up to `until`."""

    owner: str
    after: int
    until: int


def events(conn: Connection, window: Window, users: Collection[str]) -> dict[str, list[tuple[str, float]]]:
    """By user the newest events, (item id, epoch seconds), newest first."""
    found: dict[str, list[tuple[str, float]]] = {}
    for user, item_id, sent_at in conn.execute(_EVENTS, _asked(window, users)):
        found.setdefault(user, []).append((item_id, sent_at))
    return found


def typed(conn: Connection, window: Window, users: Collection[str]) -> dict[str, list[tuple[str, str]]]:
    """By user the newest events of each type, (item id, event type), newest first within a type."""
    found: dict[str, list[tuple[str, str]]] = {}
    for user, item_id, event_type in conn.execute(_TYPED, _asked(window, users)):
        found.setdefault(user, []).append((item_id, event_type))
    return found


def records(conn: Connection, window: Window, users: Collection[str]) -> Mapping[str, Mapping[str, str | None]]:
    """By user the properties of the newest record of PutUsers as text; of whom there is none is left out."""
    return {row.user_key: row.properties for row in conn.execute(_RECORDS, _asked(window, users))}


def _asked(window: Window, users: Collection[str]) -> dict[str, object]:
    return {"keys": sorted(users), "owner": window.owner, "after": window.after, "until": window.until}
