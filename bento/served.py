"""What was answered under which recommendationId, written behind the answers.

Implicit impressions, tracing and explore-report read it; who was answered by which arm of an experiment is written with it,
into a table that stays. A request never waits for it and never fails by it: rows are gathered
in memory for at most a second or `BATCH_ROWS`, and dropped, counted, when the database falls too far behind. Losing the
last second in a crash is allowed. The reconciler makes the table's hourly partitions and drops old ones.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson
import psycopg

from bento.database import Database
from bento.outage import Outage

if TYPE_CHECKING:
    from pipelines.serving.exploration import Exploration
    from pipelines.serving.recommender import Scored

FLUSH_SECONDS = 1.0
BATCH_ROWS = 100
MOST_ROWS = 20_000
"""About half a minute of the most that one account may ask for."""

_WRITE = """
INSERT INTO openpersonalize.served
       (served_at, recommendation_id, campaign_id, solution_version_id, user_id, items, request_id,
        exploration_weight, propensities, shown_at)
SELECT to_timestamp(served_at), recommendation_id, campaign_id, solution_version_id, user_id, items, request_id,
       exploration_weight, propensities, shown_at
FROM jsonb_to_recordset(%(rows)s::jsonb)
  AS r(served_at double precision, recommendation_id text, campaign_id text, solution_version_id text,
       user_id text, items text[], request_id text,
       exploration_weight double precision, propensities real[], shown_at smallint[])
ON CONFLICT DO NOTHING
RETURNING 1
"""

# In the order of the key: of two workers that write the same users one waits for the other, and never each for the other.
# A row of an experiment that went with its campaign is nobody's any more.
_EXPOSE = """
INSERT INTO openpersonalize.exposures AS there (experiment_id, user_key, arm, first_at, answers)
SELECT experiment_id, user_id, arm, to_timestamp(min(served_at)), count(*)
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r(experiment_id text, user_id text, arm text, served_at double precision)
WHERE EXISTS (SELECT FROM openpersonalize.experiments e WHERE e.id = r.experiment_id)
GROUP BY experiment_id, user_id, arm ORDER BY experiment_id, user_id
ON CONFLICT (experiment_id, user_key)
DO UPDATE SET answers = there.answers + excluded.answers, first_at = least(there.first_at, excluded.first_at)
RETURNING 1
"""

log = logging.getLogger("openpersonalize.served")


def exploration_columns(exploration: Exploration | None, scored: Sequence[Scored]) -> dict[str, Any]:
    """What the row of an answer says of its exploration: nothing when there was none."""
    if exploration is None or not exploration.weight:
        return {}
    shown_at = [item.shown_at for item in scored if item.shown_at is not None]
    if not shown_at:
        return {"exploration_weight": exploration.weight}
    import numpy as np

    from pipelines.serving.exploration import propensity

    propensities = propensity(np.array(shown_at), exploration.weight, exploration.weight)
    return {
        "exploration_weight": exploration.weight,
        "propensities": propensities.round(6).tolist(),
        "shown_at": shown_at,
    }


class Served:
    """The rows that are still to be written."""

    def __init__(self, database: Database, on_dropped: Callable[[int], None]) -> None:
        self._database = database
        self._on_dropped = on_dropped
        self._rows: deque[dict[str, Any]] = deque()
        self._full = asyncio.Event()

    def add(self, row: dict[str, Any]) -> None:
        """Remember one answer; the columns are those of the table, `served_at` in epoch seconds.

        One that is part of an experiment has `experiment_id` and `arm` besides.
        """
        if len(self._rows) >= MOST_ROWS:
            self._on_dropped(1)
            return
        self._rows.append(row)
        if len(self._rows) >= BATCH_ROWS:
            self._full.set()

    async def run(self) -> None:
        """Write until cancelled."""
        outage = Outage(log, "what is served is not written")
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_SECONDS):  # wait_for loses a cancellation that comes with the event
                    await self._full.wait()
            # Woken by a full batch: only such. What is left may wait for its second, or it would go by ones and twos.
            count = 0 if self._full.is_set() else len(self._rows)
            self._full.clear()
            with outage.noted():
                await self._write(count)
            if outage.is_on:
                await asyncio.sleep(FLUSH_SECONDS)

    async def flush(self) -> None:
        """Write all there is; raises ServiceUnavailable and keeps the rows."""
        while self._rows:
            await self._write(len(self._rows))

    async def _write(self, count: int) -> None:
        """Write the oldest `count` rows, and then what is, or meanwhile becomes, a full batch."""
        while self._rows and (count > 0 or len(self._rows) >= BATCH_ROWS):
            batch = list(islice(self._rows, BATCH_ROWS))
            try:
                rows = {"rows": orjson.dumps(batch).decode()}
                await self._database.rows(_WRITE, rows)
                if any("arm" in row for row in batch):
                    await self._database.rows(_EXPOSE, rows)
            except psycopg.Error as failure:
                log.warning("%d answers are not recorded: %s", len(batch), failure)
                self._on_dropped(len(batch))
            for _ in batch:
                self._rows.popleft()
            count -= len(batch)
