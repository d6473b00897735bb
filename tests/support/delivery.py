"""Clients that lose no event: what was not answered with 200 is sent again, over a new connection if it must be.

Half of the calls name their events, half leave that to the server. Every event has an item of its own, so that the
table tells what became of each.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from urllib.parse import urlsplit

from botocore.credentials import Credentials

from tests.support.load import CREDENTIALS, read_answer, signed_requests
from tests.support.runtime import until

CLIENTS = 8
PATIENCE = 15.0


class Delivery:
    """Clients under way from `with` on; leaving it waits until every call that was begun is answered."""

    def __init__(self, url: str, tracking_id: str, credentials: Credentials = CREDENTIALS) -> None:
        self.acknowledged: list[str] = []
        """The items of the events that were answered with 200."""
        self.again = 0
        """How many times a call had to be sent again."""
        self._url = url
        self._tracking_id = tracking_id
        self._credentials = credentials
        self._stop = threading.Event()
        self._failures: list[Exception] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Delivery:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(120)
        assert not self._thread.is_alive(), "some calls are never answered"
        assert not self._failures, self._failures

    def go_on(self, events: int, seconds: float = 60.0) -> None:
        """Block until so many more events are acknowledged."""
        wanted = len(self.acknowledged) + events
        until(f"{events} more events", lambda: self._failures or len(self.acknowledged) >= wanted, seconds)
        assert not self._failures, self._failures

    def _run(self) -> None:
        async def all_clients() -> None:
            await asyncio.gather(*(self._client(n) for n in range(CLIENTS)))

        try:
            asyncio.run(all_clients())
        except Exception as failure:  # noqa: BLE001 (told by __exit__ in the test's thread)
            self._failures.append(failure)

    async def _client(self, n: int) -> None:
        connection = None
        for items, request in self._calls(n):
            if self._stop.is_set():
                return
            status = 0
            while status != 200:
                connection = connection or await self._connect()
                status = await self._ask(connection, request) if connection else 0
                assert status in (0, 200, 503), f"status {status}"
                if status != 200:
                    self.again += 1
                    await asyncio.sleep(0.02)
                if status == 0:
                    connection = None
            self.acknowledged += items

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        at = urlsplit(self._url)
        with suppress(OSError):
            return await asyncio.open_connection(at.hostname, at.port)
        return None

    async def _ask(self, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], request: bytes) -> int:
        """The status; 0 when the connection broke or nothing came back."""
        reader, writer = connection
        try:
            async with asyncio.timeout(PATIENCE):
                writer.write(request)
                return (await read_answer(reader))[0]
        except (OSError, EOFError, TimeoutError):
            writer.close()
            return 0

    def _calls(self, client: int) -> Iterator[tuple[list[str], bytes]]:
        n = 0
        while True:
            items = [f"c{client}-{n}-{e}" for e in range(1 + n % 10)]
            events = [{"eventType": "watch", "itemId": item, "sentAt": time.time()} for item in items]
            if n % 2:
                events = [{**event, "eventId": f"id-{item}"} for event, item in zip(events, items, strict=True)]
            call = {"trackingId": self._tracking_id, "sessionId": f"client-{client}", "eventList": events}
            body = json.dumps(call).encode()
            yield items, signed_requests(self._url, "/events", [body], credentials=self._credentials)[0]
            n += 1
