"""PutActionInteractions: checked, then committed, then answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bento.commits import Commits
from bento.database import Database
from bento.datasets import Datasets
from bento.event_rules import action_event_row

_PUT = """
WITH dataset AS MATERIALIZED (
    SELECT id FROM openpersonalize.resources WHERE id = ANY(%(owners)s) AND status = 'ACTIVE'
), put AS (
    INSERT INTO openpersonalize.action_events
           (dataset_id, user_key, user_id, session_id, event_id, event_type, action_id, sent_at, properties,
            recommendation_id)
    SELECT e.owner, e.user_key, e.user_id, e.session_id, e.event_id, e.event_type, e.action_id, e.sent_at,
           e.properties, e.recommendation_id
    FROM ROWS FROM (jsonb_to_recordset(%(rows)s::jsonb) AS (
             owner text, user_key text, user_id text, session_id text, event_id text, event_type text, action_id text,
             sent_at double precision, properties jsonb, recommendation_id text
         )) WITH ORDINALITY AS e
    JOIN dataset ON dataset.id = e.owner
    ORDER BY e.ordinality
    ON CONFLICT (dataset_id, event_id) DO NOTHING
    RETURNING 1
)
SELECT (SELECT array_agg(id) FROM dataset), (SELECT count(*) FROM put)
"""


class ActionEvents:
    """Streamed action interactions of all data sets."""

    def __init__(self, database: Database, on_new: Callable[[int], None]) -> None:
        self._datasets = Datasets(database, by_tracking_id=True)
        self._commits = Commits(database, _PUT, on_new)

    async def put(self, call: Mapping[str, Any], now: float) -> None:
        """Commit a PutActionInteractions call (members as modelled).

        Raises InvalidInput, ResourceNotFound, ResourceInUse or ServiceUnavailable.
        """
        tracking_id = call["trackingId"]
        dataset = await self._datasets.find(tracking_id)
        events = range(len(call["actionInteractions"]))
        rows = [action_event_row(call, position, dataset.rules, now) for position in events]
        if not await self._commits.put(dataset.id, rows):
            await self._datasets.refuse(tracking_id)
