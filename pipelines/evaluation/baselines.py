"""What a model must beat to be worth its training: popularity, repeating the last items, a first-order Markov table.

All see the training users' events only and answer the same test users by the same rule as the model: 25 items of the
whole catalogue, nothing removed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.sequences import Sequences
from pipelines.evaluation.metrics import LIST_LENGTH

Baseline = Callable[[Sequences, Sequences, int], NDArray[np.int64]]
"""(training users, test users' given histories, number of items) -> (test users, 25) item codes, best first."""


def popularity(train: Sequences, given: Sequences, items: int) -> NDArray[np.int64]:
    """The items with the most events, the same list for everybody; equal counts in order of the catalogue."""
    best = _by_popularity(train, items)[:LIST_LENGTH]
    return np.tile(best, (given.users, 1))


def repeat(train: Sequences, given: Sequences, items: int) -> NDArray[np.int64]:
    """Each user's own last items, newest first, then popular ones."""
    popular = _by_popularity(train, items)
    answers = np.zeros((given.users, min(LIST_LENGTH, items)), np.int64)
    for user in range(given.users):
        newest = given.items_of(user)[::-1]
        answers[user] = _first_distinct(np.concatenate([newest, popular]), answers.shape[1])
    return answers


def markov(train: Sequences, given: Sequences, items: int) -> NDArray[np.int64]:
    """What most often came right after the user's last item, then popular ones; equal counts: the more popular."""
    popular = _by_popularity(train, items)
    place = np.empty(items, np.int64)
    place[popular] = np.arange(items)
    before, after = train.transitions()
    order = np.argsort(before, kind="stable")
    before, after = before[order], after[order]
    answers = np.zeros((given.users, min(LIST_LENGTH, items)), np.int64)
    for user in range(given.users):
        last = given.items_of(user)[-1:]
        start, end = np.searchsorted(before, last, "left"), np.searchsorted(before, last, "right")
        came_next = after[start[0] : end[0]] if len(last) else after[:0]
        followers, counts = np.unique(came_next, return_counts=True)
        best = followers[np.lexsort((place[followers], -counts))]
        answers[user] = _first_distinct(np.concatenate([best, popular]), answers.shape[1])
    return answers


BASELINES: Mapping[str, Baseline] = {"popularity": popularity, "repeat": repeat, "markov": markov}


def _by_popularity(train: Sequences, items: int) -> NDArray[np.int64]:
    order: NDArray[np.int64] = np.argsort(-np.bincount(train.items, minlength=items), kind="stable")
    return order


def _first_distinct(codes: NDArray[np.integer], count: int) -> NDArray[np.int64]:
    _, first = np.unique(codes, return_index=True)
    distinct: NDArray[np.int64] = codes[np.sort(first)[:count]].astype(np.int64)
    return distinct
