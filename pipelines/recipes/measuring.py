"""How a version is measured, whatever its recipe: AWS's offline metrics beside baselines on the same hold-out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.baselines import BASELINES
from pipelines.evaluation.holdout import Holdout, split
from pipelines.evaluation.metrics import LIST_LENGTH, offline_metrics
from pipelines.recipes.contract import Queries, RecipeCode
from pipelines.recipes.training_data import TrainingData


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


def evaluate(code: RecipeCode, data: TrainingData) -> Evaluation:
    """Fit on the hold-out's training users (spec/training.md 7.1), measure on the others; raises CannotTrain."""
    holdout = split(data.sequences)
    fitted = code.fit(data.of_users(holdout.train_users, holdout.train))
    ranked = ranking(fitted.model.answer(queries(data, holdout)), data.items)
    return Evaluation(
        offline_metrics(ranked, holdout.relevant, data.catalogue_size),
        {
            name: offline_metrics(
                baseline(holdout.train, holdout.given, data.items), holdout.relevant, data.catalogue_size
            )
            for name, baseline in BASELINES.items()
        },
        fitted.epochs,
        holdout.given.users,
        fitted.curve,
    )


def queries(data: TrainingData, holdout: Holdout) -> Queries:
    """What the test users are asked: their given histories, in the situation of the first event that was held out."""
    return Queries(holdout.given, data.user_features.bags.of(holdout.test_users), holdout.context)


def ranking(answers: Iterable[NDArray[np.float32]], items: int) -> NDArray[np.int64]:
    """(queries, 25) the answers' items, best first; equal logits in the order of the catalogue, as served."""
    length = min(LIST_LENGTH, items)
    ranked = [np.argsort(-logits, kind="stable")[:length] for logits in answers]
    return np.array(ranked, np.int64).reshape(len(ranked), length)
