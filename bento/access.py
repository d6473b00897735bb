"""Who may ask: the access keys as this worker knows them.

The registry's keys are read once a second, so that a request costs no look at the database. A key that was revoked is
refused a second later, and STALE_SECONDS later when the database has stopped answering: nobody can say then whether it
still is one, so the caller is told to come again. A key that is not known here is looked for before it is refused, so a new
one works at once. Keys of the environment need none of this.
"""

from __future__ import annotations

import asyncio
from time import monotonic

import psycopg

from bento.database import Database
from pipelines.aws import access
from pipelines.aws.access import Key
from pipelines.aws.errors import ServiceUnavailable
from pipelines.settings import Settings

READ_SECONDS = 1.0
STALE_SECONDS = 2.0
APART_SECONDS = 0.1
"""Between two looks at the least: asking with keys that do not exist costs the database next to nothing."""

_READ = "SELECT id, name, role FROM openpersonalize.access_keys"


class Access:
    """The keys of one worker; made inside its event loop."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._given = access.given_keys(settings)
        self._root = settings.keys_secret
        self._keys: dict[str, Key] = {}
        self._read_from = self._read_at = -STALE_SECONDS
        self._reading = asyncio.Lock()

    def known(self, key_id: str) -> Key | None:
        """The key, if what this worker knows of it may be trusted; otherwise `find` looks."""
        key = self._given.get(key_id)
        if key is None and monotonic() - self._read_at < STALE_SECONDS:
            key = self._keys.get(key_id)
        return key

    async def find(self, key_id: str) -> Key:
        """The key as the registry has it now; raises UnrecognizedClient, ServiceUnavailable."""
        await self.refresh()
        key = self._keys.get(key_id)
        if key is None:
            raise access.unknown_key()
        return key

    async def run(self) -> None:
        """Follow the registry until cancelled."""
        while True:
            await asyncio.sleep(READ_SECONDS)
            try:
                await self.refresh()
            except (ServiceUnavailable, psycopg.Error):
                continue  # the heartbeat's log line tells of it

    async def refresh(self) -> None:
        """Read the registry's keys; callers who wait at the same time share one look."""
        if not self._root:
            return
        asked_at = monotonic()
        async with self._reading:
            if self._read_from >= asked_at:
                return
            await asyncio.sleep(self._read_from + APART_SECONDS - monotonic())
            read_from = monotonic()
            rows = await self._database.rows(_READ)
            self._keys = {id: access.stored_key(self._root, id, name, role) for id, name, role in rows}
            self._read_from, self._read_at = read_from, monotonic()
