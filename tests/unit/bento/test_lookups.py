"""What the registry says is remembered for a second, and read anew by one caller at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from bento import lookups
from bento.lookups import Lookups


class Registry:
    """Answers `<key> 1`, `<key> 2`, …; `let` holds a read up."""

    def __init__(self) -> None:
        self.reads = 0
        self.let = asyncio.Event()
        self.let.set()
        self.failure: Exception | None = None

    async def read(self, key: str) -> str:
        self.reads += 1
        answer = f"{key} {self.reads}"
        await self.let.wait()
        if self.failure is not None:
            raise self.failure
        return answer


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(lookups, "monotonic", lambda: now[0])
    return now


def in_loop(script: Callable[[Registry, Lookups[str]], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        registry = Registry()
        await script(registry, Lookups(registry.read))

    asyncio.run(run())


def test_what_was_read_is_known_for_a_second(clock: list[float]) -> None:
    async def script(registry: Registry, known: Lookups[str]) -> None:
        assert [await known.find("a"), await known.find("b"), await known.find("a")] == ["a 1", "b 2", "a 1"]
        clock[0] = 1.0
        assert await known.find("a") == "a 3"
        known.forget("a")
        assert await known.find("a") == "a 4"

    in_loop(script)


def test_while_one_reads_anew_the_others_need_not_wait(clock: list[float]) -> None:
    async def script(registry: Registry, known: Lookups[str]) -> None:
        await known.find("a")
        clock[0] = 1.0
        registry.let.clear()
        first = asyncio.create_task(known.find("a"))
        await asyncio.sleep(0)
        assert await known.find("a") == "a 1"
        registry.let.set()
        assert [await first, await known.find("a")] == ["a 2", "a 2"]

    in_loop(script)


def test_a_failure_is_not_remembered_and_nothing_else_either(clock: list[float]) -> None:
    async def script(registry: Registry, known: Lookups[str]) -> None:
        await known.find("a")
        clock[0] = 1.0
        registry.failure = LookupError("gone")
        for _ in range(2):
            with pytest.raises(LookupError):
                await known.find("a")
        registry.failure = None
        assert await known.find("a") == "a 4"

    in_loop(script)


def test_the_memory_has_a_bound(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "_MOST", 2)

    async def script(registry: Registry, known: Lookups[str]) -> None:
        for key in ("a", "b", "c"):
            await known.find(key)
        assert await known.find("a") == "a 4"

    in_loop(script)
