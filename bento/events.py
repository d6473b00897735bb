"""PutEvents: checked, then committed, then answered.

Nothing is cached between this and the next recommendation: histories are read from the table per request, so the
event counts in every worker as soon as the caller has the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bento.commits import Commits
from bento.database import Database
from bento.event_rules import event_properties, event_row
from bento.lookups import Lookups
from bento.property_rules import PropertyRules
from pipelines.aws.errors import InvalidInput

_TRACKER = """
SELECT t.id, s.doc ->> 'schema'
FROM openpersonalize.resources t
LEFT JOIN openpersonalize.resources d
       ON d.group_id = t.group_id AND d.kind = 'Dataset' AND d.doc ->> 'datasetType' = 'INTERACTIONS'
LEFT JOIN openpersonalize.resources s ON s.id = d.schema_id
WHERE t.kind = 'EventTracker' AND t.status = 'ACTIVE' AND t.doc ->> 'trackingId' = %(tracking_id)s
"""

_PUT = """
WITH tracker AS MATERIALIZED (
    SELECT id, group_id FROM openpersonalize.resources WHERE id = ANY(%(owners)s) AND status = 'ACTIVE'
), put AS (
    INSERT INTO openpersonalize.events
           (group_id, user_key, user_id, session_id, event_id, event_type, event_value, item_id, sent_at,
            properties, recommendation_id, impression, attribution_source)
    SELECT tracker.group_id, e.user_key, e.user_id, e.session_id, e.event_id, e.event_type, e.event_value, e.item_id,
           e.sent_at, e.properties, e.recommendation_id, e.impression, e.attribution_source
    FROM ROWS FROM (jsonb_to_recordset(%(rows)s::jsonb) AS (
             owner text, user_key text, user_id text, session_id text, event_id text, event_type text,
             event_value double precision, item_id text, sent_at double precision, properties jsonb,
             recommendation_id text, impression text[], attribution_source text
         )) WITH ORDINALITY AS e
    JOIN tracker ON tracker.id = e.owner
    ORDER BY e.ordinality
    ON CONFLICT (group_id, event_id) DO NOTHING
    RETURNING 1
)
SELECT (SELECT array_agg(id) FROM tracker), (SELECT count(*) FROM put)
"""


@dataclass(frozen=True, slots=True)
class Tracker:
    """An ACTIVE event tracker and what its group's events may carry."""

    id: str
    rules: PropertyRules


class EventLog:
    """Streamed interactions of all dataset groups."""

    def __init__(self, database: Database, on_new: Callable[[int], None]) -> None:
        self._database = database
        self._trackers = Lookups(self._read_tracker)
        self._commits = Commits(database, _PUT, on_new)

    async def put(self, call: Mapping[str, Any], now: float) -> None:
        """Commit a PutEvents call (members as modelled); raises InvalidInput or ServiceUnavailable."""
        tracking_id = call["trackingId"]
        tracker = await self._trackers.find(tracking_id)
        rows = [event_row(call, position, tracker.rules, now) for position in range(len(call["eventList"]))]
        if not await self._commits.put(tracker.id, rows):
            self._trackers.forget(tracking_id)
            raise _unknown(tracking_id)

    async def _read_tracker(self, tracking_id: str) -> Tracker:
        rows = await self._database.rows(_TRACKER, {"tracking_id": tracking_id})
        if not rows:
            raise _unknown(tracking_id)
        tracker_id, schema = rows[0]
        return Tracker(tracker_id, event_properties(schema))


def _unknown(tracking_id: str) -> InvalidInput:
    return InvalidInput(f"trackingId {tracking_id!r} is not that of an event tracker.")
