"""What was streamed of the users of some lines: as bento/histories.py reads it, and up to where the job began.

So a job that is killed and goes on later answers every line as it would have at first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass

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


# Of all users, for filters on users.
_TYPES_OF_ALL = text("""
    SELECT user_key, array_agg(DISTINCT lower(event_type)) AS types FROM openpersonalize.events
    WHERE group_id = :owner AND id > :after AND id <= :until AND item_id IS NOT NULL GROUP BY user_key
""")
_RECORDS_OF_ALL = text("""
    SELECT DISTINCT ON (record_id) record_id,
        coalesce((SELECT jsonb_object_agg(key, value) FROM jsonb_each_text(properties)), '{}') AS properties
    FROM openpersonalize.records WHERE dataset_id = :owner AND id > :after AND id <= :until
    ORDER BY record_id, id DESC
""")


@dataclass(frozen=True)
class Window:
    """Rows of a dataset group's events, or of its Users dataset: numbered above `after`, up to `until`."""

    owner: str
    after: int
    until: int


@dataclass(frozen=True, kw_only=True)
class Streams:
    """Which streamed rows a job looks at."""

    group_id: str
    events: tuple[int, int]
    """Numbers of streamed events: those above the first are not in the version's training, those above the second too new."""
    users_id: str | None
    """The Users dataset."""
    users: tuple[int, int]
    """The same of its records."""

    def windows(self, cutoffs: Mapping[str, int]) -> tuple[Window, Window | None]:
        """Of events, and of users if there is a dataset of them; what an artefact says itself that it knows comes first."""
        after = {"events": self.events[0], "users": self.users[0], **cutoffs}
        users = Window(self.users_id, after["users"], self.users[1]) if self.users_id is not None else None
        return Window(self.group_id, after["events"], self.events[1]), users


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


def types_of_all(conn: Connection, window: Window) -> dict[str, list[str]]:
    """By user the types of all events, in lower case."""
    return {row.user_key: row.types for row in conn.execute(_TYPES_OF_ALL, asdict(window))}


def records_of_all(conn: Connection, window: Window) -> dict[str, Mapping[str, str | None]]:
    """By user the properties of the newest record of PutUsers as text."""
    return {row.record_id: row.properties for row in conn.execute(_RECORDS_OF_ALL, asdict(window))}


def _asked(window: Window, users: Collection[str]) -> dict[str, object]:
    return {"keys": sorted(users), "owner": window.owner, "after": window.after, "until": window.until}
