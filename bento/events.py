"""PutEvents: checked, then committed in one transaction, then answered.

Nothing is cached between this and the next recommendation: histories are read from the table per request, so the
event counts in every worker as soon as the caller has the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

import orjson

from bento.database import Database
from bento.event_rules import PropertyKeys, event_row, property_keys
from pipelines.aws.errors import InvalidInput

TRACKER_SECONDS = 1.0
"""How long a tracker's schema is remembered; whether the tracker still exists is asked with every write."""
_MOST_TRACKERS = 1000

_TRACKER = """
SELECT t.id, t.group_id, s.doc ->> 'schema'
FROM openpersonalize.resources t
LEFT JOIN openpersonalize.resources d
       ON d.group_id = t.group_id AND d.kind = 'Dataset' AND d.doc ->> 'datasetType' = 'INTERACTIONS'
LEFT JOIN openpersonalize.resources s ON s.id = d.schema_id
WHERE t.kind = 'EventTracker' AND t.status = 'ACTIVE' AND t.doc ->> 'trackingId' = %(tracking_id)s
"""

# One statement, so one transaction and one round trip; no row comes back when the tracker is gone by now.
_PUT = """
WITH tracker AS (
    SELECT group_id FROM openpersonalize.resources WHERE id = %(tracker_id)s AND status = 'ACTIVE'
), put AS (
    INSERT INTO openpersonalize.events
           (group_id, user_key, user_id, session_id, event_id, event_type, event_value, item_id, sent_at,
            properties, recommendation_id, impression, attribution_source)
    SELECT tracker.group_id, e.*
    FROM tracker, jsonb_to_recordset(%(rows)s::jsonb)
      AS e(user_key text, user_id text, session_id text, event_id text, event_type text,
           event_value double precision, item_id text, sent_at double precision, properties jsonb,
           recommendation_id text, impression text[], attribution_source text)
    ON CONFLICT (group_id, event_id) DO NOTHING
    RETURNING 1
)
SELECT (SELECT count(*) FROM put) FROM tracker
"""


@dataclass(frozen=True, slots=True)
class Tracker:
    """An ACTIVE event tracker and what its group's events may carry."""

    id: str
    group_id: str
    keys: PropertyKeys


class EventLog:
    """Streamed interactions of all dataset groups."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._trackers: dict[str, tuple[float, Tracker]] = {}

    async def put(self, call: Mapping[str, Any], now: float) -> int:
        """Commit a PutEvents call (members as modelled); how many of its events are new. Raises InvalidInput."""
        tracking_id = call["trackingId"]
        tracker = await self._tracker(tracking_id)
        rows = [event_row(call, position, tracker.keys, now) for position in range(len(call["eventList"]))]
        answer = await self._database.rows(_PUT, {"tracker_id": tracker.id, "rows": orjson.dumps(rows).decode()})
        if not answer:
            self._trackers.pop(tracking_id, None)
            raise _unknown(tracking_id)
        return int(answer[0][0])

    async def _tracker(self, tracking_id: str) -> Tracker:
        known = self._trackers.get(tracking_id)
        if known is not None and monotonic() < known[0]:
            return known[1]
        rows = await self._database.rows(_TRACKER, {"tracking_id": tracking_id})
        if not rows:
            raise _unknown(tracking_id)
        tracker_id, group_id, schema = rows[0]
        tracker = Tracker(tracker_id, group_id, property_keys(schema))
        if len(self._trackers) >= _MOST_TRACKERS:
            self._trackers.clear()
        self._trackers[tracking_id] = (monotonic() + TRACKER_SECONDS, tracker)
        return tracker


def _unknown(tracking_id: str) -> InvalidInput:
    return InvalidInput(f"trackingId {tracking_id!r} is not that of an event tracker.")
