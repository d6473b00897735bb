"""Training data in which metadata and context say something: clusters of items that people of a kind like."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.sequences import Sequences, make_sequences
from pipelines.recipes.training_data import Features, TrainingData
from pipelines.serving.vocabulary import Bags, Column, Vocabulary

CLUSTERS = 5
EACH = 20
"""Items of a cluster."""
GENRES = tuple(f"genre{n}" for n in range(CLUSTERS))
NEWEST = 1_600_000_000


def items_of(genres: NDArray[np.integer], shorts: NDArray[np.integer], names: tuple[str, ...] = GENRES) -> Features:
    """Items of one GENRE each, numbers into GENRES, who are LENGTH `short` (1) or `long` (0); `names`: as numbered."""
    vocabulary = Vocabulary((Column("GENRE", "category", names), Column("LENGTH", "category", ("long", "short"))))
    numbers = np.array([names.index(GENRES[genre]) for genre in genres.tolist()], np.int32)
    codes = np.stack([numbers, shorts + CLUSTERS], axis=1).astype(np.int32).ravel()
    return Features(vocabulary, Bags(np.arange(0, len(codes) + 1, 2), codes, np.ones(len(codes), np.float32)))


def groups(numbers: NDArray[np.integer]) -> Features:
    """Users of one GROUP each."""
    vocabulary = Vocabulary((Column("GROUP", "category", tuple(f"group{n}" for n in range(CLUSTERS))),))
    rows = len(numbers)
    return Features(vocabulary, Bags(np.arange(rows + 1), numbers.astype(np.int32), np.ones(rows, np.float32)))


def described(users: int = 200, length: int = 16, *, cold: float = 0.1, seed: int = 0) -> TrainingData:
    """Users of CLUSTERS groups who like the items of the genre of that number, and short ones on a phone.

    Item n has genre n // EACH and is short if n is odd. The last `cold` share of each genre's items has no events.
    Half of the events have the DEVICE phone, half tv.
    """
    random = np.random.default_rng(seed)
    group = random.integers(0, CLUSTERS, users)
    phone = random.random((users, length)) < 0.5
    # A tenth of the events are of any genre, so that nothing is impossible.
    anything = random.random((users, length)) < 0.1
    genre = np.where(anything, random.integers(0, CLUSTERS, (users, length)), group[:, None])
    warm = round(EACH * (1 - cold)) // 2
    items = genre * EACH + 2 * random.integers(0, warm, (users, length)) + phone
    times = NEWEST - 3600 * np.arange(length)[::-1] + np.zeros((users, 1), np.int64)
    user, arrivals = np.repeat(np.arange(users), length), np.zeros(users * length, np.int64)
    situations = phone.reshape(-1, 1).astype(np.int32)
    sequences = make_sequences(user, items.ravel(), times.ravel(), arrivals, users, situations)
    codes = np.arange(CLUSTERS * EACH)
    plain = TrainingData.plain(sequences, [f"i{n}" for n in codes], [f"u{n}" for n in range(users)])
    return replace(
        plain,
        item_features=items_of(codes // EACH, codes % 2),
        user_features=groups(group),
        context=Vocabulary((Column("DEVICE", "category", ("tv", "phone")),)),
    )


def interactions_only(data: TrainingData) -> TrainingData:
    """What a recipe without metadata and context is given."""
    sequences = Sequences(data.sequences.offsets, data.sequences.items, data.sequences.times)
    return TrainingData.plain(sequences, data.item_ids, data.user_ids)


def without_events(data: TrainingData) -> NDArray[np.int64]:
    """Codes of the cold items."""
    return np.flatnonzero(np.bincount(data.sequences.items, minlength=data.items) == 0)
