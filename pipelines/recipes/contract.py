"""What a recipe is: the few operations that the stages call, whatever the recipe.

A recipe is a class that satisfies `RecipeCode`, named by `family` in the catalogue; `load` imports it. Its own options
are a frozen dataclass made by `configure`, which survives options -> JSON -> options.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from pipelines.recipes.catalogue import Recipe
from pipelines.recipes.hyperparameters import Value
from pipelines.recipes.preparing import TrainingData


@dataclass(frozen=True)
class FitSettings:
    """What a recipe is configured with: the solution's hyperparameters, and how it is run."""

    algorithm: Mapping[str, Value]
    """Every algorithm hyperparameter of the recipe by name."""
    featurization: Mapping[str, Value]
    """Every featurization hyperparameter of the recipe by name."""
    seed: int = 0
    threads: int = 2


@dataclass(frozen=True)
class Evaluation:
    """What fitting on the hold-out's training users found."""

    metrics: Mapping[str, float]
    """AWS's metrics by AWS's keys."""
    baselines: Mapping[str, Mapping[str, float]]
    """The same metrics of popularity, repeat and markov on the same hold-out."""
    best_epoch: int
    """For how long `fit` should train on everything."""
    test_users: int
    curve: Sequence[Mapping[str, float]] = field(default_factory=tuple)
    """One row an epoch: epoch, train_loss, validation_loss, validation_ndcg_at_25."""


class Model(Protocol):
    """A fitted model."""

    def save(self, directory: Path) -> None:
        """Write it into `directory`, which is made: byte-stable files, no pickle."""


class RecipeCode(Protocol):
    """One recipe family."""

    @classmethod
    def configure(cls, recipe: Recipe, settings: FitSettings) -> RecipeCode:
        """The recipe with its options."""

    def evaluate(self, data: TrainingData) -> Evaluation:
        """Fit on the hold-out's training users (spec/training.md 7.1) and measure on the others."""

    def fit(self, data: TrainingData, epochs: int) -> Model:
        """Fit on everything for `epochs`."""

    def update(self, model: Any, old: TrainingData, new: TrainingData) -> Model:
        """`model`, fitted on `old`, made ready for the users and items of `new` without training."""

    def load(self, directory: Path) -> Model:
        """What `Model.save` wrote."""

    def export(self, model: Any, data: TrainingData, directory: Path, described: Mapping[str, Any]) -> None:
        """Write the artefact that the runtime serves (pipelines/serving/artefact.py); `described` joins its manifest."""


def load(recipe: Recipe, settings: FitSettings) -> RecipeCode:
    """The code of `recipe`, configured; raises LookupError if it cannot be trained."""
    if recipe.family is None:
        raise LookupError(f"{recipe.name} cannot be trained by this version of OpenPersonalize")
    module, _, name = recipe.family.partition(":")
    code: type[RecipeCode] = getattr(import_module(module), name)
    return code.configure(recipe, settings)
