"""What was streamed of users, read from PostgreSQL for every request; requests that come together share one statement.

A statement costs client and server far more than the few index entries that it reads. So while one is under way,
whoever comes waits, and the next reads for all of them: alone a request loses nothing, and the busier the worker the
less each costs. Nothing is kept: what was committed before a request came is seen by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import orjson

from bento.database import Database, Row

# Unlike AWS, serving: an event counts for the next request, not a second or two later. Histories are read from the
# database for every request, and nothing is cached.
EVENTS = 100
MOST_TYPED = 2000
"""Of a user's events since the cut-off, so many are looked at for the newest of each type: who has more is a machine."""


def _events(group: str, user: str, cutoff: str, more: str = "", most: int = EVENTS) -> str:
    # `id + 0`, or the planner may walk every event of the group since the cut-off by the index on ids: with statistics
    # from before a busy hour it takes them to be few. So it reads one user's entries of `events_history`, and no table
    # page.
    return f"""
    SELECT item_id, sent_at{more} FROM openpersonalize.events
    WHERE group_id = {group} AND user_key = {user} AND id + 0 > {cutoff} AND item_id IS NOT NULL
    ORDER BY sent_at DESC, id DESC LIMIT {most}"""


def _with_record(group: str, user: str, event_cutoff: str, users: str, record_cutoff: str) -> str:
    # The record is one more row, its values as text, as a training reads them (pipelines/datasets/streamed.py). Where
    # `users` is null nothing is looked up.
    return f"""
    ({_events(group, user, event_cutoff, ", id, NULL::text AS properties")})
    UNION ALL
    (SELECT NULL, NULL, id, coalesce((SELECT jsonb_object_agg(key, value) FROM jsonb_each_text(properties))::text, '{{}}')
    FROM openpersonalize.records
    WHERE dataset_id = {users} AND record_id = {user} AND id > {record_cutoff}
    ORDER BY id DESC LIMIT 1)"""


def _together(columns: str, newest: str) -> str:
    return f"""
    SELECT n, {columns} FROM unnest(%(group_id)s::text[], %(user_key)s::text[], %(event_cutoff)s::bigint[],
                                    %(users)s::text[], %(record_cutoff)s::bigint[])
         WITH ORDINALITY AS asked(of_group, of_user, event_cutoff, users, record_cutoff, n),
    LATERAL ({newest}) AS newest ORDER BY n, newest.sent_at DESC, newest.id DESC"""


_ONE = "%(group_id)s", "%(user_key)s", "%(event_cutoff)s"
_EACH = "of_group", "of_user", "event_cutoff"
ALONE = _events(*_ONE)
TOGETHER = _together("item_id, sent_at", _events(*_EACH, ", id"))
# Of their own: they cost those who want no record a tenth more.
ALONE_WITH_RECORD = f"""
SELECT item_id, sent_at, properties FROM ({_with_record(*_ONE, "%(users)s", "%(record_cutoff)s")}) AS newest
ORDER BY sent_at DESC, id DESC
"""
TOGETHER_WITH_RECORD = _together("item_id, sent_at, properties", _with_record(*_EACH, "users", "record_cutoff"))

TYPED = f"""
SELECT item_id, event_type FROM (
    SELECT item_id, event_type, row_number() OVER (PARTITION BY lower(event_type) ORDER BY sent_at DESC, id DESC) AS n
    FROM ({_events(*_ONE, ", event_type, id", MOST_TYPED)}) AS newest
) AS of_type WHERE n <= {EVENTS} ORDER BY n
"""

Events = list[tuple[str, float]]
"""(item id, epoch seconds), newest first."""


class Wanted(NamedTuple):
    """Whose, and from where on: what is older is in the version's training."""

    group_id: str
    user_key: str
    """A user id, or an anonymous session's."""
    event_cutoff: int
    users: str | None = None
    """The Users dataset whose record of the user is wanted; None: none is."""
    record_cutoff: int = 0


class Known(NamedTuple):
    """What was streamed of one user."""

    events: Events
    """The newest, with an item."""
    record: Mapping[str, str | None] | None = None
    """Properties of the newest record of PutUsers as text; None: there is none."""


class _Asked(NamedTuple):
    wanted: Wanted
    answer: asyncio.Future[Known]


class Histories:
    """Histories for the requests of one worker."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Asked] = []
        self._under_way = False
        self._task: asyncio.Task[None] | None = None

    async def newest(self, wanted: Wanted) -> Known:
        """What was streamed of a user after the cut-offs; raises ServiceUnavailable."""
        if self._under_way:
            asked = _Asked(wanted, asyncio.get_running_loop().create_future())
            self._waiting.append(asked)
            return await asked.answer
        self._under_way = True
        try:
            statement = ALONE if wanted.users is None else ALONE_WITH_RECORD
            return _known(await self._database.rows(statement, wanted._asdict()))
        finally:
            self._go_on()

    async def typed(self, wanted: Wanted) -> list[tuple[str, str]]:
        """(item id, event type) of the newest EVENTS of each type after the cut-off, newest first within a type."""
        return cast(list[tuple[str, str]], await self._database.rows(TYPED, wanted._asdict()))

    def _go_on(self) -> None:
        self._under_way = bool(self._waiting)
        if self._under_way:
            asked, self._waiting = self._waiting, []
            self._task = asyncio.create_task(self._read(asked))

    async def _read(self, asked: list[_Asked]) -> None:
        found: list[list[Row]] = [[] for _ in asked]
        try:
            columns = dict(
                zip(Wanted._fields, map(list, zip(*(one.wanted for one in asked), strict=True)), strict=True)
            )
            statement = TOGETHER_WITH_RECORD if any(columns["users"]) else TOGETHER
            for row in await self._database.rows(statement, columns):
                found[row[0] - 1].append(row[1:])
            known = [_known(rows) for rows in found]
        except Exception as failure:  # noqa: BLE001 (whatever it is belongs to those who wait)
            for one in asked:
                if not one.answer.done():
                    one.answer.set_exception(failure)
        else:
            for one, of_user in zip(asked, known, strict=True):
                if not one.answer.done():  # whose client went away no longer waits
                    one.answer.set_result(of_user)
        finally:
            self._go_on()


def _known(rows: Sequence[Row]) -> Known:
    if not rows or len(rows[0]) == 2:
        return Known(cast(Events, rows))
    record = next((orjson.loads(properties) for _, _, properties in rows if properties is not None), None)
    return Known([(item_id, sent_at) for item_id, sent_at, _ in rows if item_id is not None], record)
