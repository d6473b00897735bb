"""What was served is written behind the answers: in batches, bounded, and never at a request's expense."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from bento import served as module
from bento.served import BATCH_ROWS, Served
from pipelines.aws.errors import ServiceUnavailable


class Table:
    """A database that keeps what is written, or fails."""

    def __init__(self) -> None:
        self.batches: list[list[dict[str, Any]]] = []
        self.failure: Exception | None = None

    async def rows(self, _statement: str, parameters: dict[str, str]) -> list[Any]:
        if self.failure is not None:
            raise self.failure
        self.batches.append(json.loads(parameters["rows"]))
        return []

    @property
    def written(self) -> list[int]:
        return [row["n"] for batch in self.batches for row in batch]


def play(script: Callable[[Served, Table, list[int]], Awaitable[None]]) -> None:
    async def run() -> None:
        table, dropped = Table(), []
        await script(Served(table, dropped.append), table, dropped)  # type: ignore[arg-type]

    asyncio.run(run())


def test_rows_are_written_in_order_and_in_batches() -> None:
    async def script(served: Served, table: Table, dropped: list[int]) -> None:
        for n in range(2 * BATCH_ROWS + 1):
            served.add({"n": n})
        await served.flush()
        assert [len(batch) for batch in table.batches] == [BATCH_ROWS, BATCH_ROWS, 1]
        assert table.written == list(range(2 * BATCH_ROWS + 1)) and not dropped

    play(script)


def test_a_full_batch_does_not_wait_for_the_second_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLUSH_SECONDS", 60.0)

    async def script(served: Served, table: Table, dropped: list[int]) -> None:
        running = asyncio.create_task(served.run())
        for n in range(BATCH_ROWS):
            served.add({"n": n})
        async with asyncio.timeout(10):
            while not table.batches:
                await asyncio.sleep(0)
        running.cancel()
        assert len(table.written) == BATCH_ROWS

    play(script)


def test_a_few_rows_are_written_when_the_second_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.05)

    async def script(served: Served, table: Table, dropped: list[int]) -> None:
        running = asyncio.create_task(served.run())
        served.add({"n": 1})
        async with asyncio.timeout(10):
            while not table.batches:
                await asyncio.sleep(0.01)
        running.cancel()

    play(script)


def test_rows_that_come_while_a_batch_is_written_wait_for_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLUSH_SECONDS", 60.0)

    async def script(served: Served, table: Table, dropped: list[int]) -> None:
        write = table.rows

        async def while_more_come(statement: str, parameters: dict[str, str]) -> list[Any]:
            served.add({"n": -1})
            return await write(statement, parameters)

        table.rows = while_more_come  # type: ignore[method-assign]
        running = asyncio.create_task(served.run())
        for n in range(2 * BATCH_ROWS + 1):
            served.add({"n": n})
        async with asyncio.timeout(10):
            while len(table.batches) < 2:
                await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        assert [len(batch) for batch in table.batches] == [BATCH_ROWS, BATCH_ROWS]
        running.cancel()

    play(script)


def test_the_writer_ends_also_when_a_batch_fills_at_that_moment() -> None:
    async def script(served: Served, table: Table, dropped: list[int]) -> None:
        running = asyncio.create_task(served.run())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for n in range(BATCH_ROWS):
            served.add({"n": n})
        await asyncio.sleep(0)
        running.cancel()
        done, _ = await asyncio.wait([running], timeout=0.5)
        running.cancel()
        assert done

    play(script)


def test_an_outage_keeps_the_rows_until_it_is_over() -> None:
    async def script(served: Served, table: Table, dropped: list[int]) -> None:
        served.add({"n": 1})
        table.failure = ServiceUnavailable("gone")
        with pytest.raises(ServiceUnavailable):
            await served.flush()
        served.add({"n": 2})
        table.failure = None
        await served.flush()
        assert table.written == [1, 2] and not dropped

    play(script)


def test_rows_beyond_the_bound_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 10)

    async def script(served: Served, table: Table, dropped: list[int]) -> None:
        for n in range(15):
            served.add({"n": n})
        await served.flush()
        assert table.written == list(range(10)) and sum(dropped) == 5

    play(script)


def test_a_batch_that_the_table_refuses_is_dropped_and_counted() -> None:
    async def script(served: Served, table: Table, dropped: list[int]) -> None:
        served.add({"n": 1})
        table.failure = psycopg.errors.CheckViolation("no partition")
        await served.flush()
        table.failure = None
        served.add({"n": 2})
        await served.flush()
        assert table.written == [2] and sum(dropped) == 1

    play(script)
