"""A recipe of your own: after an item, what people took next (item-to-item, in the order of time).

    [project.entry-points."openpersonalize.recipes"]
    bought-next = "own_recipe:BOUGHT_NEXT"

in the pyproject.toml of the package that has this module: no other registration. ListRecipes shows it as
arn:aws:personalize:::recipe/bought-next, CreateSolution takes it, and its versions are trained, measured beside the
baselines, versioned, served and updated like any other.
"""

from __future__ import annotations

import numpy as np

from pipelines.recipes.catalogue import RELATED_ITEMS, Recipe
from pipelines.recipes.contract import CannotTrain
from pipelines.recipes.hyperparameters import Hyperparameter
from pipelines.recipes.tables import TableModel, TableRecipe, distinct_users
from pipelines.recipes.training_data import TrainingData
from pipelines.serving.parts import Neighbours

LENGTH = 100
"""Neighbours kept of an item."""

BOUGHT_NEXT = Recipe(
    "bought-next",
    RELATED_ITEMS,
    "What people take right after an item, the rarer things first the higher the discount.",
    (
        Hyperparameter("popularity_discount", "continuous", 0.4, 0.0, 1.0, tunable=True),
        Hyperparameter("min_users", "integer", 1, 1, 100),
    ),
    family="own_recipe:BoughtNext",
)


class BoughtNext(TableRecipe):
    """Counts how often one item follows another."""

    def table(self, data: TrainingData) -> TableModel:
        before, after = data.sequences.transitions()
        moved = before != after
        pairs, counts = np.unique(before[moved].astype(np.int64) * data.items + after[moved], return_counts=True)
        enough = counts >= self.settings.algorithm["min_users"]
        if not enough.any() and len(data.sequences.items) > data.sequences.users:
            raise CannotTrain("No item follows another often enough; a smaller min_users lets more pairs count.")
        popularity = distinct_users(data.sequences, data.items)
        items, others = pairs[enough] // data.items, pairs[enough] % data.items
        likely = counts[enough] / popularity[others] ** float(self.settings.algorithm["popularity_discount"])
        order = np.lexsort((others, -likely, items))  # by item, best first, equal ones in the catalogue's order
        items, others, likely = items[order], others[order], likely[order]
        rank = np.arange(len(items)) - np.searchsorted(items, items)
        kept = rank < LENGTH
        table = np.full((data.items, LENGTH), -1, np.int32)  # -1: no more neighbours
        similarities = np.zeros((data.items, LENGTH), np.float32)
        table[items[kept], rank[kept]] = others[kept]
        similarities[items[kept], rank[kept]] = likely[kept]
        return TableModel(popularity, Neighbours(table, similarities))
