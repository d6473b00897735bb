"""What the registry says about an id that every call names, remembered for a second.

A schema need not be read and taken apart with every call. Whether what the id stands for still takes data is never
taken from here: it is asked in the statement that writes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Generic, TypeVar

SECONDS = 1.0
_MOST = 1000

T = TypeVar("T")


class Lookups(Generic[T]):
    """`read` with a memory of a second; what it raises is not remembered."""

    def __init__(self, read: Callable[[str], Awaitable[T]]) -> None:
        self._read = read
        self._known: dict[str, tuple[float, T]] = {}

    async def find(self, key: str) -> T:
        """What `read` said of the key at most a second ago; raises what it raises.

        When the second is over one caller reads anew, and the others go on with what is known until it has.
        """
        known = self._known.get(key)
        if known is not None and monotonic() < known[0]:
            return known[1]
        if known is not None:
            self._known[key] = (monotonic() + SECONDS, known[1])
        try:
            found = await self._read(key)
        except Exception:
            self.forget(key)
            raise
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[key] = (monotonic() + SECONDS, found)
        return found

    def forget(self, key: str) -> None:
        """Read anew the next time."""
        self._known.pop(key, None)
