"""Calls that come together share one statement, and each gets its own answer or its own failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
import pytest
from psycopg import errors

from bento import commits
from bento.commits import Commits
from pipelines.aws.errors import ServiceUnavailable

ACTIVE = {"t1", "t2"}


class Table:
    """Stores rows when it is let; refuses a statement with a row called `bad`."""

    def __init__(self) -> None:
        self.statements: list[list[str]] = []
        self.let = asyncio.Event()
        self.failure: Exception | None = None
        self.new: list[int] = []

    async def rows(self, _statement: str, parameters: dict[str, Any]) -> list[Any]:
        rows = orjson.loads(parameters["rows"])
        self.statements.append([row["event_id"] for row in rows])
        await self.let.wait()
        if self.failure is not None:
            raise self.failure
        if any(row["event_id"] == "bad" for row in rows):
            raise errors.DataError("bad row")
        active = sorted(ACTIVE & set(parameters["owners"]))
        return [(active or None, sum(row["owner"] in ACTIVE for row in rows))]


def in_loop(script: Callable[[Table, Commits], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        table = Table()
        await script(table, Commits(table, "PUT", table.new.append))  # type: ignore[arg-type]

    asyncio.run(run())


async def put(commits: Commits, *calls: tuple[str, str]) -> list[asyncio.Task[bool]]:
    tasks = [asyncio.create_task(commits.put(owner, [{"event_id": row}])) for owner, row in calls]
    for _ in range(3):  # until the first statement is under way
        await asyncio.sleep(0)
    return tasks


def test_who_comes_during_a_commit_shares_the_next() -> None:
    async def script(table: Table, commits: Commits) -> None:
        first = await put(commits, ("t1", "a"))
        rest = await put(commits, ("t1", "b"), ("gone", "c"), ("t2", "d"))
        table.let.set()
        assert await asyncio.gather(*first, *rest) == [True, True, False, True]
        assert table.statements == [["a"], ["b", "c", "d"]]
        assert table.new == [1, 2]
        assert await commits.put("t1", [{"event_id": "later"}])

    in_loop(script)


def test_a_row_that_cannot_be_stored_fails_its_own_call_only() -> None:
    async def script(table: Table, commits: Commits) -> None:
        tasks = await put(commits, ("t1", "a"))
        tasks += await put(commits, ("t1", "b"), ("t1", "bad"), ("t1", "c"))
        table.let.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert found[:2] == [True, True] and isinstance(found[2], errors.DataError) and found[3] is True
        assert table.statements[1:] == [["b", "bad", "c"], ["b"], ["bad"], ["c"]]

    in_loop(script)


def test_an_outage_reaches_all_who_shared_it_and_nobody_after() -> None:
    async def script(table: Table, commits: Commits) -> None:
        table.failure = ServiceUnavailable("gone")
        tasks = await put(commits, ("t1", "a"))
        tasks += await put(commits, ("t1", "b"), ("t2", "c"))
        table.let.set()
        failures = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(failure, ServiceUnavailable) for failure in failures)
        assert len(table.statements) == 2
        table.failure = None
        assert await commits.put("t1", [{"event_id": "d"}])

    in_loop(script)


@pytest.mark.parametrize("gone", [0, 1])
def test_a_client_that_goes_away_takes_nobodys_rows_along(gone: int) -> None:
    async def script(table: Table, commits: Commits) -> None:
        tasks = await put(commits, ("t1", "a"))
        tasks += await put(commits, ("t1", "b"), ("t1", "c"))
        tasks.pop(gone).cancel()
        table.let.set()
        assert await asyncio.gather(*tasks) == [True, True]
        assert table.statements == [["a"], ["b", "c"]]

    in_loop(script)


def test_a_statement_has_a_bound_and_the_rest_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "MOST_ROWS", 2)

    async def script(table: Table, commits: Commits) -> None:
        tasks = await put(commits, ("t1", "a"))
        tasks += await put(commits, *(("t1", row) for row in "bcdef"))
        table.let.set()
        assert all(await asyncio.gather(*tasks))
        assert table.statements == [["a"], ["b", "c"], ["d", "e"], ["f"]]

    in_loop(script)
