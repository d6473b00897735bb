"""Data that recipes are tested on, beside what a test makes up itself: real ratings, and everything that can be known."""

from __future__ import annotations

import csv
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pipelines.datasets.movielens import MovieLensError, fetch
from pipelines.datasets.sequences import make_sequences
from pipelines.recipes.catalogue import Recipe
from pipelines.recipes.training_data import Features, TrainingData
from pipelines.serving.vocabulary import Bags, Column, Vocabulary


def described(data: TrainingData, recipe: Recipe) -> TrainingData:
    """`data` with what the stages would add for `recipe`: genres, an item and a user without events, and situations."""
    if recipe.metadata:
        items, users = data.items + 1, len(data.user_ids) + 1
        genre = Vocabulary((Column("GENRE", "category", tuple(f"g{n}" for n in range(10))),))
        group = Vocabulary((Column("GROUP", "category", ("a", "b")),))
        last = data.sequences.offsets[-1:]
        data = replace(
            data,
            sequences=replace(data.sequences, offsets=np.concatenate([data.sequences.offsets, last])),
            item_ids=[*data.item_ids, "new-item"],
            user_ids=[*data.user_ids, "new-user"],
            catalogue_size=items,
            item_features=Features(genre, _one_each(np.minimum(np.arange(items) // 10, 9))),
            user_features=Features(group, _one_each(np.arange(users) % 2)),
            created=np.append(data.created, data.newest),
            shown=np.append(data.shown, 0),
        )
    if recipe.context:
        device = (data.sequences.items // 50).astype(np.int32)[:, None]
        vocabulary = Vocabulary((Column("DEVICE", "category", ("phone", "tv")),))
        data = replace(data, sequences=replace(data.sequences, context=device), context=vocabulary)
    return data


def _one_each(codes: np.ndarray) -> Bags:
    return Bags(np.arange(len(codes) + 1), codes.astype(np.int32), np.ones(len(codes), np.float32))


@cache
def movielens(newest: int) -> TrainingData:
    """The `newest` events of every user of MovieLens-100K; skips the test where nothing leads to the package index."""
    try:
        found = fetch(Path(__file__).parents[2] / "var" / "data" / "movielens-100k")
    except MovieLensError as error:
        pytest.skip(str(error))
    with found.csv["INTERACTIONS"].open(newline="", encoding="utf-8") as file:
        rows = [(row["USER_ID"], row["ITEM_ID"], int(row["TIMESTAMP"])) for row in csv.DictReader(file)]
    user_ids, users = np.unique([row[0] for row in rows], return_inverse=True)
    item_ids, items = np.unique([row[1] for row in rows], return_inverse=True)
    times = np.array([row[2] for row in rows])
    sequences = make_sequences(users, items, times, np.zeros(len(rows), np.int64), len(user_ids))
    kept = np.repeat(sequences.offsets[1:], np.diff(sequences.offsets)) - np.arange(len(rows)) <= newest
    return TrainingData.plain(sequences.where(kept), item_ids.tolist(), user_ids.tolist())
