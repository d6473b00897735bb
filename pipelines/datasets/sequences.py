"""Interactions as sequences: who did what in which order, as numbers (numpy only).

Order within a user. By TIMESTAMP. Rows of one second have no order in the data, and any made from ids would be a
lie that a sequence model learns (MovieLens: whole pages of films rated in one second, in order of film number, make
`the next film has a higher number` the best predictor). So imported rows of one second are ordered by a fixed
pseudo-random number of (user, item, time): the same at every run, and it tells nothing. Streamed events of that
second follow them in the order they arrived, which is real.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Sequences:
    """Events of some users, oldest first, one user after the other: user u's are [offsets[u], offsets[u + 1])."""

    offsets: NDArray[np.int64]
    items: NDArray[np.int32]
    """Item codes, 0-based."""
    times: NDArray[np.int64]
    """Epoch seconds."""
    context: NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 0), np.int32))
    """(events, columns) the situation of each event as codes within each column, -1 for none; (0, 0) if nothing is
    known of any."""

    @property
    def users(self) -> int:
        return len(self.offsets) - 1

    def items_of(self, user: int) -> NDArray[np.int32]:
        """Item codes of one user, oldest first."""
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    def of_users(self, users: NDArray[np.integer]) -> Sequences:
        """These users only, in the given order."""
        counts = np.diff(self.offsets)[users]
        offsets = _offsets(counts)
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[users] - offsets[:-1], counts)
        return Sequences(offsets, self.items[rows], self.times[rows], self._context_of(rows))

    def without_newest(self, dropped: NDArray[np.integer]) -> Sequences:
        """All users, user u without the newest `dropped[u]` events."""
        counts = np.diff(self.offsets)
        kept = np.maximum(counts - dropped, 0)
        position = np.arange(len(self.items)) - np.repeat(self.offsets[:-1], counts)
        return self.where(position < np.repeat(kept, counts))

    def before(self, time: int) -> Sequences:
        """All users, with their events earlier than `time` only."""
        return self.where(self.times < time)

    def where(self, kept: NDArray[np.bool_]) -> Sequences:
        """All users, with these events only."""
        before = np.concatenate([[0], np.cumsum(kept)])
        return Sequences(before[self.offsets], self.items[kept], self.times[kept], self._context_of(kept))

    def _context_of(self, rows: NDArray[np.generic]) -> NDArray[np.int32]:
        return self.context[rows] if len(self.context) else self.context

    def transitions(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Every pair of items that follow each other in one user's sequence: (earlier, later)."""
        last = np.zeros(len(self.items), bool)
        last[self.offsets[1:][np.diff(self.offsets) > 0] - 1] = True
        earlier = np.flatnonzero(~last)
        return self.items[earlier], self.items[earlier + 1]


def make_sequences(
    users: NDArray[np.integer],
    items: NDArray[np.integer],
    times: NDArray[np.integer],
    arrivals: NDArray[np.integer],
    user_count: int,
    context: NDArray[np.int32] | None = None,
) -> Sequences:
    """Sort events into sequences; `arrivals` is 0 for imported rows, 1, 2, 3, ... for streamed ones as they came.

    `context`: (events, columns), see `Sequences.context`.
    """
    arrival = np.asarray(arrivals, np.int64)
    tie = np.where(arrival == 0, shuffled(users, items, times), 0)
    order = np.lexsort((tie, arrival, times, users))
    counts = np.bincount(users, minlength=user_count)
    return Sequences(
        _offsets(counts),
        np.asarray(items, np.int32)[order],
        np.asarray(times, np.int64)[order],
        np.zeros((0, 0), np.int32) if context is None else context[order],
    )


def shuffled(*columns: NDArray[np.integer]) -> NDArray[np.uint64]:
    """A pseudo-random number of each row (splitmix64's finaliser over the columns), the same on every machine."""
    state = np.full(len(columns[0]), 0x9E3779B97F4A7C15, np.uint64)
    for column in columns:
        state ^= np.asarray(column, np.int64).view(np.uint64)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return state


def _offsets(counts: NDArray[np.integer]) -> NDArray[np.int64]:
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets
