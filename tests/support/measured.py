"""A recipe that fits nothing, so that tests of measuring take no time, and what is measured of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.sequences import Sequences
from pipelines.evaluation import verdict
from pipelines.evaluation.baselines import BASELINES
from pipelines.recipes.contract import Fitted, Queries
from pipelines.recipes.measuring import evaluate, evaluate_in_time
from pipelines.recipes.training_data import TrainingData
from tests.support.recipe_contract import training_data

ITEMS = 100


@dataclass(frozen=True)
class Follower:
    """Certain, as `sure` says, that item n + 1 follows item n; nothing else is any different from the rest."""

    items: int
    sure: float = 8.0

    def answer(self, queries: Queries) -> Iterator[NDArray[np.float32]]:
        for user in range(queries.given.users):
            logits = np.zeros(self.items, np.float32)
            for item in queries.given.items_of(user)[-1:]:
                logits[(item + 1) % self.items] = self.sure
            yield logits


class FollowerRecipe:
    """Enough of the recipe contract to be measured; remembers what it was fitted on."""

    def __init__(self, sure: float = 8.0) -> None:
        self.sure = sure
        self.fits: list[tuple[TrainingData, int | None]] = []

    def fit(self, data: TrainingData, epochs: int | None = None) -> Fitted:
        self.fits.append((data, epochs))
        return Fitted(Follower(data.items, self.sure), 5 if epochs is None else epochs)


@dataclass(frozen=True)
class Contrary:
    """The same for everybody: what is least popular first."""

    logits: NDArray[np.float32]

    def answer(self, queries: Queries) -> Iterator[NDArray[np.float32]]:
        yield from [self.logits] * queries.given.users


class ContraryRecipe:
    """Loses to popularity."""

    def fit(self, data: TrainingData, epochs: int | None = None) -> Fitted:
        return Fitted(Contrary(-np.bincount(data.sequences.items, minlength=data.items).astype(np.float32)))


def walking(users: int = 60, each: int = 20) -> TrainingData:
    """User u begins at item u and takes the next one each time, an hour later; users begin one after the other."""
    items = (np.arange(users)[:, None] + np.arange(each)) % ITEMS
    times = 3600 * (20 * np.arange(users)[:, None] + np.arange(each))
    offsets = np.arange(0, users * each + 1, each)
    return training_data(Sequences(offsets, items.ravel().astype(np.int32), times.ravel()), ITEMS)


def report(sure: float = 8.0, data: TrainingData | None = None, **changed: Any) -> dict[str, Any]:
    """What the stage `evaluate` would write of it."""
    code, data = FollowerRecipe(sure), walking() if data is None else data
    found = evaluate(code, data, scores=True)
    temporal = evaluate_in_time(code, data, found.best_epoch, scores=True)
    made = {"recipe": "aws-hrnn", "best_epoch": found.best_epoch, **asdict(found.measured), "temporal": temporal}
    return {**made, "warnings": verdict.warnings(made, tuple(BASELINES)), **changed}
