"""The hold-out of spec/training.md section 7.1: test users are chosen, not test events.

90 % of the users train. Of each other user the oldest 90 % of the events are given to the model as history, and what
it then recommends is compared with the items of the newest 10 %. Nothing is removed from the ranking. The choice
depends on its own seed only, so that models of any seed and the baselines are measured on the same users.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.sequences import Sequences

SEED = 0
TEST_SHARE = 0.1


@dataclass(frozen=True)
class Holdout:
    """One split of the users."""

    train: Sequences
    """The users that train, with all their events."""
    given: Sequences
    """The test users with the oldest 90 % of their events."""
    relevant: list[NDArray[np.int32]]
    """The distinct items of each test user's newest 10 % (at least one event)."""
    train_users: NDArray[np.int64]
    """Codes of the users that train, in `train`'s order."""
    test_users: NDArray[np.int64]
    """Codes of the test users, in `given`'s order."""
    context: NDArray[np.int32]
    """(test users, columns) the situation of each test user's first event that was held out."""
    next_items: NDArray[np.int32]
    """(test users,) the item of that event."""


def split(sequences: Sequences, *, share: float = TEST_SHARE, seed: int = SEED) -> Holdout:
    """Choose `share` of the users with at least two events as test users; at least one, unless none could train."""
    counts = np.diff(sequences.offsets)
    eligible = np.flatnonzero(counts >= 2)
    wanted = 0 if len(eligible) < 2 else max(1, round(share * len(eligible)))
    test = np.sort(np.random.default_rng(seed).permutation(eligible)[:wanted])
    trains = np.ones(sequences.users, bool)
    trains[test] = False
    tests = sequences.of_users(test)
    train = np.flatnonzero(trains)
    newest = np.maximum(1, (np.diff(tests.offsets) + 5) // 10)
    return hold_out(sequences.of_users(train), train, tests, test, newest)


def hold_out(
    train: Sequences,
    train_users: NDArray[np.int64],
    tests: Sequences,
    test_users: NDArray[np.int64],
    newest: NDArray[np.int64],
) -> Holdout:
    """Of each of the `tests` the `newest` events, at least one, are what the model is to find."""
    ends = tests.offsets[1:]
    first = ends - newest
    relevant = [np.unique(tests.items[start:end]) for start, end in zip(first, ends, strict=True)]
    context = tests.context[first] if len(tests.context) else np.zeros((tests.users, 0), np.int32)
    return Holdout(train, tests.without_newest(newest), relevant, train_users, test_users, context, tests.items[first])
