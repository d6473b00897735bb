"""Sequences cut into what one training step sees (numpy only).

Users of similar length go side by side and are read in chunks of `bptt` events; a user's hidden state is carried from
chunk to chunk, so that the whole history speaks while gradients reach back `bptt` events (truncated back-propagation
through time).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.sequences import Sequences
from pipelines.serving.parts import HISTORY_LENGTH

GRU_LENGTH = 64
"""Events the GRU reads at serving; 128 gain nothing on MovieLens-100K, 32 lose 0.002 of NDCG@25."""
LIFT_USERS = 200
"""Users whom `repeat_lift` looks at, about."""
BUCKETS = 8
"""Ages of an event for the repeat term: newest, 2-3, 4-7, ..., 128 and older."""


@dataclass(frozen=True)
class Chunk:
    """One step: the same stretch of B users' sequences, T events long, in which P events have a successor.

    N = P + F events are predicted, the last F of them the first event of their user, from no history.
    """

    items: NDArray[np.int64]
    """(B, T) item codes; where `valid` is false some other user's."""
    valid: NDArray[np.bool_]
    """(B, T): the event and its successor belong to the user; P of them are true."""
    targets: NDArray[np.int64]
    """(N,) the item that came next."""
    weights: NDArray[np.float32]
    """(N,) how much the prediction of that event counts."""
    rows: NDArray[np.int64]
    """(N,) which of the B users it is."""
    context: NDArray[np.int32]
    """(N, columns) the situation of the event that is predicted (Sequences.context)."""
    seen: NDArray[np.int64]
    """(S,) row x number of items + item, for each distinct item that the user had before the target."""
    seen_bucket: NDArray[np.int64]
    """(S,) the age of the newest event with that item, see `buckets`."""


def batches(sequences: Sequences, size: int, random: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Users with at least two events, `size` at a time and longest first, in an order that differs each epoch."""
    counts = np.diff(sequences.offsets)
    # Jittered lengths: neighbours are alike, which keeps padding small, but not the same in every epoch.
    order = np.argsort(-counts * np.exp(random.normal(0.0, 0.3, len(counts))), kind="stable")
    order = order[counts[order] >= 2]
    groups = [order[start : start + size] for start in range(0, len(order), size)]
    for index in random.permutation(len(groups)):
        group = groups[index]
        yield group[np.argsort(-counts[group], kind="stable")]


def chunk_count(sequences: Sequences, size: int, length: int) -> int:
    """About how many steps an epoch has."""
    counts = np.sort(np.diff(sequences.offsets))[::-1]
    longest = counts[counts >= 2][::size]
    return int(np.sum((longest - 2) // length + 1))


def chunks(
    sequences: Sequences,
    weights: NDArray[np.float32],
    users: NDArray[np.int64],
    length: int,
    items: int,
    *,
    from_nothing: bool = False,
) -> Iterator[Chunk]:
    """The chunks of one batch of users, oldest first; users whose history has ended are gone from later ones.

    `from_nothing`: whether the first events of the users are predicted too.
    """
    sequences, weights = _of_users(sequences, weights, users)
    users = np.arange(len(users))
    starts, counts = sequences.offsets[:-1][users], np.diff(sequences.offsets)[users]
    last, again = len(sequences.items) - 1, next_occurrence(sequences)
    for begin in range(0, int(counts[0]) - 1, length):
        active = int((counts - 1 > begin).sum())
        end = min(begin + length, int(counts[0]) - 1)
        rows = starts[:active, None] + np.arange(begin, end)
        valid = np.arange(begin, end) < counts[:active, None] - 1
        at = rows[valid]
        first = np.broadcast_to(starts[:active, None], rows.shape)[valid]
        seen, age = seen_before(sequences.items, again, first, at, items)
        newcomers = starts[: active if from_nothing and begin == 0 else 0]
        predicted = np.concatenate([at + 1, newcomers])
        yield Chunk(
            sequences.items[np.minimum(rows, last)].astype(np.int64),
            valid,
            sequences.items[predicted].astype(np.int64),
            weights[predicted],
            np.concatenate([np.nonzero(valid)[0], np.arange(len(newcomers))]),
            sequences.context[predicted] if len(sequences.context) else np.zeros((len(predicted), 0), np.int32),
            seen,
            buckets(age),
        )


def _of_users(
    sequences: Sequences, weights: NDArray[np.float32], users: NDArray[np.int64]
) -> tuple[Sequences, NDArray[np.float32]]:
    """One batch's own events, so that its cost does not grow with the data."""
    chosen = sequences.of_users(users)
    counts = np.diff(chosen.offsets)
    rows = np.arange(chosen.offsets[-1]) + np.repeat(sequences.offsets[users] - chosen.offsets[:-1], counts)
    return chosen, weights[rows]


def seen_before(
    items: NDArray[np.int32],
    again: NDArray[np.int64],
    first: NDArray[np.int64],
    at: NDArray[np.int64],
    item_count: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For position p, the distinct items of the events from `first[p]` to `at[p]`: flat (p, item) indices, and ages.

    The age is that of the newest event with the item, 1 being the event at `at[p]`. `again`: `next_occurrence`.
    """
    lengths = np.minimum(at - first + 1, HISTORY_LENGTH)
    row = np.repeat(np.arange(len(at)), lengths)
    back = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    until = np.repeat(at, lengths)
    event = until - back
    newest = again[event] > until
    return row[newest] * item_count + items[event[newest]].astype(np.int64), back[newest] + 1


def next_occurrence(sequences: Sequences) -> NDArray[np.int64]:
    """Where each event's item comes again in the same user's sequence; far away if it does not."""
    users = np.repeat(np.arange(sequences.users), np.diff(sequences.offsets))
    order = np.lexsort((np.arange(len(users)), sequences.items, users))
    again = np.full(len(users), np.iinfo(np.int64).max)
    same = (users[order][1:] == users[order][:-1]) & (sequences.items[order][1:] == sequences.items[order][:-1])
    again[order[:-1][same]] = order[1:][same]
    return again


def repeat_lift(sequences: Sequences, popularity: NDArray[np.float32]) -> NDArray[np.float32]:
    """(BUCKETS,) log of how much likelier than its popularity (shares, (items,)) an item of that age is the next one.

    Measured on some of the users: it is where training starts from, so that a short fit knows too whether people
    come back to items.
    """
    items = len(popularity)
    with_two = np.flatnonzero(np.diff(sequences.offsets) >= 2)
    sample = sequences.of_users(with_two[:: max(1, len(with_two) // LIFT_USERS)])
    hits, expected = np.ones(BUCKETS), np.ones(BUCKETS)
    for users in batches(sample, 32, np.random.default_rng(0)):
        for chunk in chunks(sample, np.ones(len(sample.items), np.float32), users, 32, items):
            row, item = np.divmod(chunk.seen, items)
            expected += np.bincount(chunk.seen_bucket, popularity[item], minlength=BUCKETS)
            hits += np.bincount(chunk.seen_bucket[chunk.targets[row] == item], minlength=BUCKETS)
    return np.asarray(np.log(hits / expected), np.float32)


def buckets(age: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bucket of each age in events, 1 being the newest: 0, 1, 1, 2, 2, 2, 2, 3, ..."""
    # frexp is exact where log2 of a float might round up at a power of two.
    bucket: NDArray[np.int64] = np.minimum(np.frexp(age)[1] - 1, BUCKETS - 1).astype(np.int64)
    return bucket


def recency_weights(times: NDArray[np.int64], masked: bool) -> NDArray[np.float32]:
    """What each event counts: all alike, or, under the recency mask, the oldest a quarter of the newest. Mean 1.

    Age is the share of events that are newer, not seconds: one wrong clock must not make all others old.
    """
    if not masked or not len(times):
        return np.ones(len(times), np.float32)
    newer = 1 - np.searchsorted(np.sort(times), times, side="right") / len(times)
    weights: NDArray[np.float64] = np.exp2(-2.0 * newer)
    return np.asarray(weights / weights.mean(), np.float32)
