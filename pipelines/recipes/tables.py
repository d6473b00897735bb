"""Recipes whose model is a table: the items that go with an item, or nothing but what is popular.

A recipe of this kind says how the table is made (`table`); the rest of the contract (pipelines/recipes/contract.py) is
here. Without scores: the order is the answer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.sequences import Sequences
from pipelines.recipes.catalogue import Recipe
from pipelines.recipes.contract import FitSettings, Fitted, Queries
from pipelines.recipes.training_data import TrainingData
from pipelines.serving.parts import Neighbours
from pipelines.serving.writing import write_artefact


@dataclass(frozen=True)
class TableModel:
    """What is popular, and the items that go with each item."""

    popularity: NDArray[np.float32]
    """(items,) distinct users of each item: exact up to 16.7 million."""
    neighbours: Neighbours | None = None
    """None: everybody gets what is popular."""

    def save(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        np.save(directory / "popularity.npy", self.popularity)
        if self.neighbours is not None:
            np.save(directory / "neighbours.npy", self.neighbours.items)
            np.save(directory / "similarities.npy", self.neighbours.similarities)

    def answer(self, queries: Queries) -> Iterator[NDArray[np.float32]]:
        """(items,) logits of what goes with each user's last item; of what is popular, for a user without one."""
        given = queries.given
        for start, end in zip(given.offsets[:-1], given.offsets[1:], strict=True):
            if self.neighbours is None or start == end:
                yield self.popularity
            else:
                yield self.neighbours.logits(int(given.items[end - 1]), self.popularity)


@dataclass(frozen=True)
class TableRecipe(ABC):
    """The part of the contract that all such recipes share."""

    recipe: Recipe
    settings: FitSettings

    @classmethod
    def configure(cls, recipe: Recipe, settings: FitSettings) -> TableRecipe:
        return cls(recipe, settings)

    @abstractmethod
    def table(self, data: TrainingData) -> TableModel:
        """What is popular in `data`, and what goes with what; raises CannotTrain."""

    def fit(self, data: TrainingData, epochs: int | None = None) -> Fitted:  # noqa: ARG002  # a table has none
        return Fitted(self.table(data))

    def update(self, model: TableModel, old: TrainingData, new: TrainingData) -> TableModel:
        """Popularity is counted anew; known items keep their neighbours, an item that `old` lacks has none."""
        popularity = distinct_users(new.sequences, new.items)
        if model.neighbours is None:
            return TableModel(popularity)
        places = {identifier: place for place, identifier in enumerate(new.item_ids)}
        moved = np.array([places.get(identifier, -1) for identifier in old.item_ids], np.int32)
        kept = np.flatnonzero(moved >= 0)
        width = model.neighbours.items.shape[1]
        items, similarities = np.full((new.items, width), -1, np.int32), np.zeros((new.items, width), np.float32)
        # The last element, reached by -1, stands for none.
        items[moved[kept]] = np.append(moved, np.int32(-1))[model.neighbours.items[kept]]
        similarities[moved[kept]] = model.neighbours.similarities[kept]
        return TableModel(popularity, Neighbours(items, similarities))

    def load(self, directory: Path) -> TableModel:
        popularity = np.load(directory / "popularity.npy")
        if not (directory / "neighbours.npy").exists():
            return TableModel(popularity)
        table = Neighbours(np.load(directory / "neighbours.npy"), np.load(directory / "similarities.npy"))
        return TableModel(popularity, table)

    def export(self, model: TableModel, data: TrainingData, directory: Path, described: Mapping[str, Any]) -> None:
        hyperparameters = {**self.settings.algorithm, **self.settings.featurization}
        write_artefact(
            directory,
            recipe=self.recipe.name,
            recipe_type=self.recipe.recipe_type,
            scores=self.recipe.scores,
            explores=self.recipe.explores,
            catalogue=data.catalogue(model.popularity),
            answers=model.neighbours,
            described={**described, "hyperparameters": hyperparameters},
        )


def distinct_users(sequences: Sequences, items: int) -> NDArray[np.float32]:
    """(items,) how many users had each item."""
    owners = np.repeat(np.arange(sequences.users), np.diff(sequences.offsets))
    pairs = np.unique(owners * items + sequences.items)
    return np.bincount(pairs % max(items, 1), minlength=items).astype(np.float32)
