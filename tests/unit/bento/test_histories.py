"""Requests that come together share one statement, and each gets what was streamed of its own user, or its failure."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bento.histories import ALONE, ALONE_WITH_RECORD, TOGETHER, TOGETHER_WITH_RECORD, Histories, Known, Wanted
from pipelines.aws.errors import ServiceUnavailable


class Table:
    """Answers every user with one event named after them, and a record if one is wanted, when it is let."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.let = asyncio.Event()
        self.failure: Exception | None = None

    async def rows(self, statement: str, of: dict[str, Any]) -> list[Any]:
        self.statements.append(statement)
        await self.let.wait()
        if self.failure is not None:
            raise self.failure
        if statement == ALONE:
            return [(f"of {of['user_key']}", 1.0)]
        if statement == ALONE_WITH_RECORD:
            return self._with_record(of["user_key"], of["users"])
        pairs = [pair for pair in zip(of["user_key"], of["users"], range(1, 99), strict=False) if pair[0] != "nobody"]
        if statement == TOGETHER:
            return [(n, f"of {user}", 1.0) for user, _, n in pairs]
        assert statement == TOGETHER_WITH_RECORD
        return [(n, *row) for user, users, n in pairs for row in self._with_record(user, users)]

    def _with_record(self, user: str, users: str | None) -> list[Any]:
        record = [(None, None, f'{{"name": "{user}", "age": null}}')] if users else []
        return [*record, (f"of {user}", 1.0, None)]


async def asked(histories: Histories, *users: str, dataset: str | None = None) -> list[asyncio.Task[Known]]:
    tasks = [asyncio.create_task(histories.newest(Wanted("g", user, 0, dataset))) for user in users]
    await asyncio.sleep(0)
    return tasks


def of(user: str) -> Known:
    return Known([(f"of {user}", 1.0)])


def test_who_comes_during_a_read_shares_the_next() -> None:
    async def script() -> None:
        table = Table()
        tasks = await asked(Histories(table), "a", "b", "nobody", "c")  # type: ignore[arg-type]
        assert table.statements == [ALONE]
        table.let.set()
        assert await asyncio.gather(*tasks) == [of("a"), of("b"), Known([]), of("c")]
        assert table.statements == [ALONE, TOGETHER]

    asyncio.run(script())


def test_a_record_comes_with_the_events_in_one_statement() -> None:
    async def script() -> None:
        table = Table()
        histories = Histories(table)  # type: ignore[arg-type]
        tasks = [*await asked(histories, "a", "b", dataset="d"), *await asked(histories, "c")]
        table.let.set()
        found = await asyncio.gather(*tasks)
        assert found == [
            Known(of("a").events, {"name": "a", "age": None}),
            Known(of("b").events, {"name": "b", "age": None}),
            of("c"),
        ]
        assert table.statements == [ALONE_WITH_RECORD, TOGETHER_WITH_RECORD]

    asyncio.run(script())


def test_a_failure_reaches_all_who_shared_it_and_nobody_after() -> None:
    async def script() -> None:
        table = Table()
        table.failure = ServiceUnavailable("gone")
        histories = Histories(table)  # type: ignore[arg-type]
        tasks = await asked(histories, "a", "b", "c")
        table.let.set()
        failures = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(failure, ServiceUnavailable) for failure in failures)
        table.failure = None
        assert await histories.newest(Wanted("g", "d", 0)) == of("d")

    asyncio.run(script())


@pytest.mark.parametrize("gone", [0, 1])
def test_a_client_that_goes_away_holds_up_nobody(gone: int) -> None:
    async def script() -> None:
        table = Table()
        tasks = await asked(Histories(table), "a", "b", "c")  # type: ignore[arg-type]
        tasks.pop(gone).cancel()
        table.let.set()
        assert await asyncio.gather(*tasks) == [of("abc"[1 - gone]), of("c")]

    asyncio.run(script())
