"""New items: films that nobody has rated yet, ranked for each user by what their genres say. ml-latest-small.

`BENCH_DATA=... python -m tests.bench.cold_bench` (rating_data.py). Of the films with five ratings or more a tenth is
hidden: none of their ratings trains. Then each user, with all other ratings as history, is asked to order the hidden
films among themselves, and those that the user did rate should come first. AUC: how likely a film that the user rated
stands before one that they did not; 0.5 is chance, which is what a model gets that knows only interactions.
aws-hrnn-metadata must be above aws-hrnn by 0.05.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from pipelines.datasets.sequences import Sequences
from pipelines.evaluation.cold import auc
from pipelines.recipes.catalogue import recipe_by_name
from pipelines.recipes.contract import FitSettings, Queries, load
from pipelines.recipes.training_data import Features, TrainingData
from tests.bench.rating_data import latest_small

LEAST_RATINGS = 5
HIDDEN_SHARE = 0.1
EPOCHS = 4
THREADS = 2
RECIPES = ("aws-hrnn", "aws-hrnn-metadata")
MARGIN = 0.05


def without(sequences: Sequences, dropped: NDArray[np.bool_]) -> Sequences:
    """All users, without their events with the items of the mask `dropped`."""
    kept = ~dropped[sequences.items]
    user = np.repeat(np.arange(sequences.users), np.diff(sequences.offsets))[kept]
    offsets = np.append(0, np.cumsum(np.bincount(user, minlength=sequences.users)))
    return Sequences(offsets, sequences.items[kept], sequences.times[kept])


def films() -> TrainingData:
    """ml-latest-small less the films with few ratings."""
    data = latest_small()
    counts = np.bincount(data.sequences.items, minlength=data.items)
    kept = np.flatnonzero(counts >= LEAST_RATINGS)
    places = np.full(data.items, -1, np.int32)
    places[kept] = np.arange(len(kept))
    sequences = without(data.sequences, counts < LEAST_RATINGS)
    plain = TrainingData.plain(
        replace(sequences, items=places[sequences.items]), [data.item_ids[code] for code in kept], data.user_ids
    )
    features = data.item_features
    return replace(plain, item_features=Features(features.vocabulary, features.bags.of(kept)))


def aucs(name: str, seen: TrainingData, hidden: NDArray[np.int64], taken: Sequences) -> Iterator[float]:
    """One of each user who rated a hidden film."""
    recipe = recipe_by_name(name)
    assert recipe is not None
    code = load(recipe, FitSettings(recipe.algorithm_values({}), recipe.featurization_values({}), 0, THREADS))
    given = seen if recipe.metadata else TrainingData.plain(seen.sequences, seen.item_ids, seen.user_ids)
    model = code.fit(given, EPOCHS).model
    for user, logits in enumerate(model.answer(Queries.plain(seen.sequences))):
        rated = np.isin(hidden, taken.items_of(user))
        if rated.any():
            yield auc(logits[hidden], rated)


def run(console: Console) -> bool:
    """Print the table; whether the bound holds."""
    data = films()
    random = np.random.default_rng(0)
    hidden = np.sort(random.permutation(data.items)[: round(HIDDEN_SHARE * data.items)])
    mask = np.isin(np.arange(data.items), hidden)
    seen = replace(data, sequences=without(data.sequences, mask))
    taken = without(data.sequences, ~mask)
    table = Table("", "AUC", "CPU s", title=f"{len(hidden)} hidden films of {data.items}")
    found = {}
    for name in RECIPES:
        started = time.process_time()
        found[name] = float(np.mean(list(aucs(name, seen, hidden, taken))))
        table.add_row(name, f"{found[name]:.4f}", f"{time.process_time() - started:.0f}")
    console.print(table)
    return found["aws-hrnn-metadata"] >= found["aws-hrnn"] + MARGIN


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    raise SystemExit(not run(Console(width=120)))
