"""What a recipe is: the few operations that the stages call, whatever the recipe.

A recipe is a class that satisfies `RecipeCode`, named by `family` in its entry of the catalogue; `load` imports it.
It fits, answers, saves, updates and exports. What every version is measured by (hold-out, baselines, calibration,
temporal split) is done around it (measuring.py), so that a new recipe brings no metrics of its own.

What it exports is one of the artefacts of pipelines/serving/artefact.py; the runtime reads those and never imports a
recipe. README.md, "A recipe of your own", shows a whole one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.sequences import Sequences
from pipelines.recipes.catalogue import Recipe
from pipelines.recipes.hyperparameters import Value
from pipelines.recipes.training_data import TrainingData
from pipelines.serving.vocabulary import Bags


class CannotTrain(ValueError):
    """The data does not allow this recipe; the message is the version's failureReason and says what to do."""


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
class Queries:
    """Users whose next item is asked for."""

    given: Sequences
    """What each did before, oldest first; may be nothing."""
    user_features: Bags
    """What the Users dataset says of each."""
    context: NDArray[np.int32]
    """(users, columns of the data's context) the situation that is asked about, as in `Sequences.context`."""

    @classmethod
    def plain(cls, given: Sequences) -> Queries:
        """Histories only."""
        return cls(given, Bags.empty(given.users), np.zeros((given.users, 0), np.int32))


class Model(Protocol):
    """A fitted model."""

    def save(self, directory: Path) -> None:
        """Write it into `directory`, which is made: byte-stable files, no pickle."""

    def answer(self, queries: Queries) -> Iterator[NDArray[np.float32]]:
        """(items,) logits a query, as serving computes them: their order is the list, their softmax the scores."""


@dataclass(frozen=True)
class Fitted:
    """What a fit gives."""

    model: Model
    epochs: int = 1
    """For how long it trained: with this number a fit on a little more data comes to the same point."""
    curve: Sequence[Mapping[str, float]] = field(default_factory=tuple)
    """One row an epoch, for recipes that have such: epoch, train_loss, validation_loss, validation_ndcg_at_25."""


# Unlike AWS, training: recipes have AWS's names, hyperparameters and kinds of answers, and are models of our own. What
# stands behind AWS's names is not published, so scores and metrics are other numbers.
class RecipeCode(Protocol):
    """One recipe family."""

    @classmethod
    def configure(cls, recipe: Recipe, settings: FitSettings) -> RecipeCode:
        """The recipe with its options."""

    def fit(self, data: TrainingData, epochs: int | None = None) -> Fitted:
        """Fit on `data`: for `epochs`, or, without, for as long as users set aside for that get better answers.

        The same bytes for the same data, settings and thread count. Raises CannotTrain.
        """

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
