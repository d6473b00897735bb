"""Requests that come together share one statement, and each gets its own user's events or its failure."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bento.histories import ALONE, TOGETHER, Histories
from pipelines.aws.errors import ServiceUnavailable


class Table:
    """Answers every user with one event named after them, when it is let."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.let = asyncio.Event()
        self.failure: Exception | None = None

    async def rows(self, statement: str, parameters: dict[str, Any]) -> list[Any]:
        self.statements.append(statement)
        await self.let.wait()
        if self.failure is not None:
            raise self.failure
        if statement == ALONE:
            return [(f"of {parameters['user_key']}", 1.0)]
        return [(n, f"of {user}", 1.0) for n, user in enumerate(parameters["users"], 1) if user != "nobody"]


async def asked(histories: Histories, *users: str) -> list[asyncio.Task[Any]]:
    tasks = [asyncio.create_task(histories.newest("g", user, 0)) for user in users]
    await asyncio.sleep(0)
    return tasks


def test_who_comes_during_a_read_shares_the_next() -> None:
    async def script() -> None:
        table = Table()
        tasks = await asked(Histories(table), "a", "b", "nobody", "c")  # type: ignore[arg-type]
        assert table.statements == [ALONE]
        table.let.set()
        found = await asyncio.gather(*tasks)
        assert found == [[("of a", 1.0)], [("of b", 1.0)], [], [("of c", 1.0)]]
        assert table.statements == [ALONE, TOGETHER]

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
        assert await histories.newest("g", "d", 0) == [("of d", 1.0)]

    asyncio.run(script())


@pytest.mark.parametrize("gone", [0, 1])
def test_a_client_that_goes_away_holds_up_nobody(gone: int) -> None:
    async def script() -> None:
        table = Table()
        tasks = await asked(Histories(table), "a", "b", "c")  # type: ignore[arg-type]
        tasks.pop(gone).cancel()
        table.let.set()
        found = await asyncio.gather(*tasks)
        assert found == [[(f"of {user}", 1.0)] for user in ("abc"[1 - gone], "c")]

    asyncio.run(script())
