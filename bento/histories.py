"""Users' newest events, read from PostgreSQL for every request; requests that come together share one statement.

A statement costs client and server far more than the few index entries that it reads. So while one is under way,
whoever comes waits, and the next reads for all of them: alone a request loses nothing, and the busier the worker the
less each costs. Nothing is kept: an event that was committed before a request came is seen by it.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from bento.database import Database

EVENTS = 100

# `id + 0`, or the planner may walk every event of the group since the cut-off by the index on ids: with statistics from
# before a busy hour it takes them to be few. So it reads one user's entries of `events_history`, and no table page.
ALONE = f"""
SELECT item_id, sent_at FROM openpersonalize.events
WHERE group_id = %(group_id)s AND user_key = %(user_key)s AND id + 0 > %(cutoff)s AND item_id IS NOT NULL
ORDER BY sent_at DESC, id DESC LIMIT {EVENTS}
"""

TOGETHER = f"""
SELECT asked.n, newest.item_id, newest.sent_at
FROM unnest(%(groups)s::text[], %(users)s::text[], %(cutoffs)s::bigint[])
     WITH ORDINALITY AS asked(group_id, user_key, cutoff, n),
LATERAL (
    SELECT item_id, sent_at, id FROM openpersonalize.events e
    WHERE e.group_id = asked.group_id AND e.user_key = asked.user_key AND e.id + 0 > asked.cutoff
      AND e.item_id IS NOT NULL
    ORDER BY sent_at DESC, id DESC LIMIT {EVENTS}
) AS newest
ORDER BY asked.n, newest.sent_at DESC, newest.id DESC
"""

Events = list[tuple[str, float]]
"""(item id, epoch seconds), newest first."""


class _Asked(NamedTuple):
    group_id: str
    user_key: str
    cutoff: int
    answer: asyncio.Future[Events]


class Histories:
    """Histories for the requests of one worker."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Asked] = []
        self._under_way = False
        self._task: asyncio.Task[None] | None = None

    async def newest(self, group_id: str, user_key: str, cutoff: int) -> Events:
        """A user's (or anonymous session's) newest events with an item after event `cutoff`.

        Raises ServiceUnavailable.
        """
        if self._under_way:
            asked = _Asked(group_id, user_key, cutoff, asyncio.get_running_loop().create_future())
            self._waiting.append(asked)
            return await asked.answer
        self._under_way = True
        try:
            return await self._database.rows(ALONE, {"group_id": group_id, "user_key": user_key, "cutoff": cutoff})
        finally:
            self._go_on()

    def _go_on(self) -> None:
        self._under_way = bool(self._waiting)
        if self._under_way:
            asked, self._waiting = self._waiting, []
            self._task = asyncio.create_task(self._read(asked))

    async def _read(self, asked: list[_Asked]) -> None:
        keys = {
            "groups": [one.group_id for one in asked],
            "users": [one.user_key for one in asked],
            "cutoffs": [one.cutoff for one in asked],
        }
        found: list[Events] = [[] for _ in asked]
        try:
            rows = await self._database.rows(TOGETHER, keys)
            for n, item_id, sent_at in rows:
                found[n - 1].append((item_id, sent_at))
        except Exception as failure:  # noqa: BLE001 (whatever it is belongs to those who wait)
            for one in asked:
                if not one.answer.done():
                    one.answer.set_exception(failure)
        else:
            for one, events in zip(asked, found, strict=True):
                if not one.answer.done():  # whose client went away no longer waits
                    one.answer.set_result(events)
        finally:
            self._go_on()
