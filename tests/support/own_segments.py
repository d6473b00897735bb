"""A recipe of somebody's own that makes segments: users like what they took, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.recipes.catalogue import USER_SEGMENTATION, Recipe
from pipelines.recipes.contract import FitSettings, Fitted, Queries
from pipelines.recipes.training_data import TrainingData
from pipelines.serving.parts import Encoding
from pipelines.serving.writing import write_artefact
from tests.support.artefacts import mean_encoder

LIKES = Recipe("likes", USER_SEGMENTATION, "What they took.", family="tests.support.own_segments:Likes")


@dataclass(frozen=True)
class Vectors:
    """(items, items) a vector for each item."""

    matrix: NDArray[np.float32]

    def save(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        np.save(directory / "matrix.npy", self.matrix)

    def answer(self, queries: Queries) -> Iterator[NDArray[np.float32]]:
        for start, end in zip(queries.given.offsets[:-1], queries.given.offsets[1:], strict=True):
            yield self.matrix @ self.matrix[queries.given.items[start:end]].mean(axis=0)


@dataclass(frozen=True)
class Likes:
    """The whole recipe."""

    recipe: Recipe

    @classmethod
    def configure(cls, recipe: Recipe, _settings: FitSettings) -> Likes:
        return cls(recipe)

    def fit(self, data: TrainingData, epochs: int | None = None) -> Fitted:
        return Fitted(Vectors(3 * np.eye(data.items, dtype=np.float32)))

    def update(self, _model: Vectors, _old: TrainingData, new: TrainingData) -> Vectors:
        return Vectors(3 * np.eye(new.items, dtype=np.float32))

    def load(self, directory: Path) -> Vectors:
        return Vectors(np.load(directory / "matrix.npy"))

    def export(self, model: Vectors, data: TrainingData, directory: Path, described: Mapping[str, Any]) -> None:
        write_artefact(
            directory,
            recipe=self.recipe.name,
            recipe_type=self.recipe.recipe_type,
            scores=self.recipe.scores,
            explores=self.recipe.explores,
            catalogue=data.catalogue(np.zeros(data.items, np.float32)),
            answers=Encoding(model.matrix, mean_encoder(data.items), encoder_length=50),
            described=described,
        )
