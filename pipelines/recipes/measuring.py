"""How a version is measured, whatever its recipe: one split of the events, the model's answers, rules to beat.

AWS's metrics and the baselines come first; beside them how novel the lists are, how true the scores, and how it is
for cold users and items (pipelines/evaluation/). The same is measured twice: on AWS's hold-out of users, and, after
another and shorter fit, on a split by time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from pipelines.evaluation import temporal
from pipelines.evaluation.baselines import BASELINES
from pipelines.evaluation.calibration import Reliability
from pipelines.evaluation.cold import ColdItems, cold_users
from pipelines.evaluation.holdout import Holdout, split
from pipelines.evaluation.metrics import LIST_LENGTH, offline_metrics
from pipelines.evaluation.novelty import novelty
from pipelines.evaluation.reports import NotMeasurable, Report, not_measurable
from pipelines.recipes.catalogue import RELATED_ITEMS, Recipe
from pipelines.recipes.contract import CannotTrain, Model, Queries, RecipeCode
from pipelines.recipes.training_data import TrainingData
from pipelines.serving.ordering import softmax, top


@dataclass(frozen=True)
class Measured:
    """A model's answers to the test users of one split, and the baselines' answers to the same."""

    metrics: Mapping[str, float]
    """AWS's metrics by AWS's keys."""
    baselines: Mapping[str, Mapping[str, float]]
    """The same metrics of popularity, repeat and markov."""
    novelty: Mapping[str, float]
    """Bits (novelty.py) by `model` and the baselines' names."""
    calibration: Report
    """See `Reliability.report`."""
    cold_users: Report
    """See `cold.cold_users`."""
    cold_items: Report
    """See `ColdItems.report`."""
    test_users: int


@dataclass(frozen=True)
class Evaluation:
    """What fitting on the hold-out's training users found."""

    measured: Measured
    best_epoch: int
    """For how long `fit` should train on everything."""
    curve: Sequence[Mapping[str, float]] = field(default_factory=tuple)
    """One row an epoch: epoch, train_loss, validation_loss, validation_ndcg_at_25."""

    @property
    def metrics(self) -> Mapping[str, float]:
        return self.measured.metrics

    @property
    def baselines(self) -> Mapping[str, Mapping[str, float]]:
        return self.measured.baselines

    @property
    def test_users(self) -> int:
        return self.measured.test_users


def evaluate(code: RecipeCode, data: TrainingData, *, scores: bool = False) -> Evaluation:
    """Fit on the hold-out's training users (spec/training.md 7.1), measure on the others; raises CannotTrain.

    `scores`: whether the softmax of the answers are scores, so that it makes sense to ask how true they are.
    """
    holdout = split(data.sequences)
    fitted = code.fit(data.of_users(holdout.train_users, holdout.train))
    return Evaluation(measure(fitted.model, data, holdout, scores=scores), fitted.epochs, fitted.curve)


def evaluate_in_time(code: RecipeCode, data: TrainingData, epochs: int, *, scores: bool = False) -> Report:
    """The same measures on the split by time (temporal.py), of a fit for `epochs`.

    `since`: epoch seconds of the cut; then the fields of `Measured`. Not measurable, rather than a failure, where
    there is nothing to split or too little is left.
    """
    try:
        at = temporal.cut(data.sequences.times)
        holdout = temporal.split(data.sequences, at)
        fitted = code.fit(data.of_users(holdout.train_users, holdout.train), epochs)
    except (NotMeasurable, CannotTrain) as error:
        return not_measurable(str(error))
    return {"since": at, **asdict(measure(fitted.model, data, holdout, scores=scores))}


def measure(model: Model, data: TrainingData, holdout: Holdout, *, scores: bool) -> Measured:
    """Ask the test users' next items, once each; answers are looked at one after the other and not kept."""
    items, relevant = data.items, holdout.relevant
    counts = np.bincount(holdout.train.items, minlength=items)
    reliability, cold_items = Reliability(), ColdItems(counts)
    ranked = np.full((holdout.given.users, min(LIST_LENGTH, items)), -1)
    answers = enumerate(zip(model.answer(queries(data, holdout)), relevant, holdout.next_items, strict=True))
    for user, (logits, taken, next_item) in answers:
        best = top(logits, LIST_LENGTH)
        # Serving leaves those out.
        best = best[logits[best] > -np.inf]
        ranked[user, : len(best)] = best
        cold_items.add(logits, best, taken)
        if scores:
            reliability.add(softmax(logits, best), best == next_item)
    lists = {"model": ranked}
    lists |= {name: baseline(holdout.train, holdout.given, items) for name, baseline in BASELINES.items()}
    metrics = {name: offline_metrics(answers, relevant, data.catalogue_size) for name, answers in lists.items()}
    return Measured(
        metrics.pop("model"),
        metrics,
        {name: novelty(answers, counts) for name, answers in lists.items()},
        reliability.report() if scores else not_measurable("answers of this recipe carry no scores"),
        cold_users(lists, relevant, np.diff(holdout.given.offsets)),
        cold_items.report(),
        holdout.given.users,
    )


def queries(data: TrainingData, holdout: Holdout) -> Queries:
    """What the test users are asked: their given histories, in the situation of the first event that was held out."""
    return Queries(holdout.given, data.user_features.bags.of(holdout.test_users), holdout.context)


def rivals(recipe: Recipe) -> Collection[str]:
    """The baselines that answer the same question: a version that does no better is not worth its training."""
    if recipe.name == "aws-popularity-count":
        # It is one of them.
        return ()
    # What goes with an item is neither what the user had nor only what comes next.
    return ("popularity",) if recipe.recipe_type == RELATED_ITEMS else tuple(BASELINES)
