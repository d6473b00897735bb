"""What was changed with which key, counted and written down once a minute.

PutEvents and its like come by the thousand a second: the rows that they write are their record, and the audit has how many
calls each key made of an operation on one tracker or dataset in a minute, and how they ended. A crash loses the last
minute. A key's last use is written along.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Any

import orjson
import psycopg

from bento.database import Database
from pipelines.aws import access
from pipelines.aws.access import Key
from pipelines.aws.errors import ServiceUnavailable

WRITE_SECONDS = 60.0
OK = "ok"

_WRITE = """
WITH used AS (
    UPDATE openpersonalize.access_keys SET last_used_at = now() WHERE id = ANY(%(used)s)
)
INSERT INTO openpersonalize.audit (at, key_id, key_name, role, operation, resource, outcome, calls)
SELECT now(), key_id, key_name, role, operation, resource, outcome, calls
FROM jsonb_to_recordset(%(calls)s::jsonb)
  AS c(key_id text, key_name text, role text, operation text, resource text, outcome text, calls integer)
RETURNING 1
"""

_Alike = tuple[str, str, str | None, str]
"""What calls have in common that share a row: key id, operation, resource, outcome."""

log = logging.getLogger("openpersonalize.audit")


class Audit:
    """What one worker has not written down yet."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._used: dict[str, Key] = {}
        self._calls: Counter[_Alike] = Counter()

    def note(self, key: Key, operation: str, resource: str | None, code: str) -> None:
        """Count an answered call; `code` is that of its error, if it was one."""
        self._used[key.id] = key
        if access.changes(operation):
            # What was refused may name anything, so its names are not kept.
            about = None if code else resource
            self._calls[key.id, operation, about, code or OK] += 1

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self.write()

    async def write(self) -> None:
        """Write what was counted; what cannot be written now waits for the next time."""
        used, calls = self._used, self._calls
        if not used:
            return
        self._used, self._calls = {}, Counter()
        rows = [_row(used[alike[0]], alike, count) for alike, count in calls.items()]
        try:
            await self._database.rows(_WRITE, {"used": list(used), "calls": orjson.dumps(rows).decode()})
        except (ServiceUnavailable, psycopg.Error) as failure:
            log.warning("the audit of %d calls waits: %s", calls.total(), failure)
            self._used = {**used, **self._used}
            self._calls.update(calls)


def _row(key: Key, alike: _Alike, calls: int) -> dict[str, Any]:
    _, operation, resource, outcome = alike
    of_key = {"key_id": key.id, "key_name": key.name, "role": key.role}
    return {**of_key, "operation": operation, "resource": resource, "outcome": outcome, "calls": calls}
