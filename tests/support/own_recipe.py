"""A recipe of your own: after an item, what people took soon after it.

    [project.entry-points."openpersonalize.recipes"]
    bought-next = "own_recipe:BOUGHT_NEXT"

in the pyproject.toml of the package that has this module: no other registration. ListRecipes shows it as
arn:aws:personalize:::recipe/bought-next, CreateSolution takes it, and its versions are trained, measured beside the
baselines, versioned and served like any other.
"""

from __future__ import annotations

import numpy as np

from pipelines.recipes.catalogue import RELATED_ITEMS, Recipe
from pipelines.recipes.hyperparameters import Hyperparameter
from pipelines.recipes.tables import TableModel, TableRecipe, distinct_users
from pipelines.recipes.training_data import TrainingData
from pipelines.serving.parts import Neighbours

LENGTH = 100
"""Neighbours kept of an item."""

BOUGHT_NEXT = Recipe(
    "bought-next",
    RELATED_ITEMS,
    "What people take soon after an item.",
    (
        Hyperparameter("window", "integer", 10, 1, 50, tunable=True),  # events after it
        Hyperparameter("popularity_discount", "continuous", 0.2, 0.0, 1.0, tunable=True),
    ),
    family="own_recipe:BoughtNext",
)


class BoughtNext(TableRecipe):
    """Counts what follows an item, the sooner the more."""

    def table(self, data: TrainingData) -> TableModel:
        items = data.sequences.items.astype(np.int64)
        users = np.repeat(np.arange(data.sequences.users), np.diff(data.sequences.offsets))
        sums = np.zeros(0), np.zeros(0, np.int64)  # weight of each pair, and the pair: item x items + other
        for step in range(1, int(self.settings.algorithm["window"]) + 1):
            counts = (users[:-step] == users[step:]) & (items[:-step] != items[step:])
            found = items[:-step][counts] * data.items + items[step:][counts]
            pairs, place = np.unique(np.concatenate([sums[1], found]), return_inverse=True)
            sums = np.bincount(place, np.concatenate([sums[0], np.full(len(found), 1 / step)]), len(pairs)), pairs
        item, other = sums[1] // data.items, sums[1] % data.items
        popularity = distinct_users(data.sequences, data.items)
        likely = sums[0] / popularity[other] ** float(self.settings.algorithm["popularity_discount"])
        order = np.lexsort((other, -likely, item))  # by item, best first, equal ones in the catalogue's order
        item, other, likely = item[order], other[order], likely[order]
        rank = np.arange(len(item)) - np.searchsorted(item, item)
        kept = rank < LENGTH
        table = np.full((data.items, LENGTH), -1, np.int32)  # -1: no more neighbours
        similarities = np.zeros((data.items, LENGTH), np.float32)
        table[item[kept], rank[kept]] = other[kept]
        similarities[item[kept], rank[kept]] = likely[kept]
        return TableModel(popularity, Neighbours(table, similarities))
