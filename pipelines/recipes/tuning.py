"""Hyperparameter optimisation: trials over the solution's ranges, the best one kept (spec/training.md section 5).

Optuna's TPE proposes, a fit answers. What is maximised is NDCG@25 of validation users, who are taken from the
hold-out's training users and train nothing: the test users, whose numbers GetSolutionMetrics shows, stay unseen. The
first trial is the configuration itself, so that a search never ends worse than none by its own measure.

One trial at a time, with all threads: what TPE proposes depends on the trials that have ended, so side by side the same
search would take another way each time. A trial ends by itself once its fit gets no better (contract.RecipeCode.fit).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.evaluation.holdout import split
from pipelines.evaluation.metrics import LIST_LENGTH, offline_metrics
from pipelines.progress import Progress
from pipelines.recipes.catalogue import Recipe
from pipelines.recipes.contract import FitSettings, load
from pipelines.recipes.hyperparameters import Hyperparameter, Value
from pipelines.recipes.measuring import queries
from pipelines.recipes.ranges import Search
from pipelines.recipes.training_data import TrainingData
from pipelines.serving.ordering import top

if TYPE_CHECKING:
    from optuna import Study

log = logging.getLogger(__name__)

VALIDATION_SHARE = 0.2
"""Of the training users; more than the hold-out's tenth, because trials differ by less than 100 users can tell."""
VALIDATION_USERS = 2000
"""At most: more tell nothing new and do not train."""
VALIDATION_SEED = 2
NDCG = "normalized_discounted_cumulative_gain_at_25"


@dataclass(frozen=True)
class Trial:
    """One fit."""

    hyperparameters: Mapping[str, Value]
    """Those that were searched."""
    ndcg_at_25: float
    epochs: int


@dataclass(frozen=True)
class Tuned:
    """What a search found."""

    trials: tuple[Trial, ...]
    """In the order in which they were made."""
    best: Mapping[str, Value]
    """Every algorithm hyperparameter of the recipe as in the best trial, the first of equal ones."""
    validation_users: int

    def to_json(self) -> dict[str, Any]:
        """As data/reports/hpo.json has it."""
        trials = [asdict(trial) for trial in self.trials]
        return {"best": dict(self.best), "trials": trials, "validation_users": self.validation_users}


def tune(recipe: Recipe, settings: FitSettings, search: Search, data: TrainingData) -> Tuned:
    """Search; the same trials for the same data, settings and thread count. Raises CannotTrain."""
    objective = _Objective(recipe, settings, data)
    trials: list[Trial] = []
    study = _study(settings.seed, search.trials)
    configured = {one.name: settings.algorithm[one.name] for one in search.ranges}
    if all(_inside(one, configured[one.name]) for one in search.ranges):
        study.enqueue_trial({one.name: _stored(one, configured[one.name]) for one in search.ranges})
    best = 0
    with Progress("trials", search.trials, every=math.inf, terminal=False) as progress:
        for number in range(search.trials):
            asked = study.ask({one.name: _distribution(one) for one in search.ranges})
            trial = objective({one.name: _value(one, asked.params[one.name]) for one in search.ranges})
            study.tell(asked, trial.ndcg_at_25)
            trials.append(trial)
            if trial.ndcg_at_25 > trials[best].ndcg_at_25:
                best = number
            progress.advance()
            log.info(
                "%s; NDCG@25 %.4f with %s; best so far %.4f in trial %d",
                progress.line(),
                trial.ndcg_at_25,
                ", ".join(f"{name} {_shown(value)}" for name, value in trial.hyperparameters.items()),
                trials[best].ndcg_at_25,
                best + 1,
            )
    return Tuned(tuple(trials), {**settings.algorithm, **trials[best].hyperparameters}, objective.users)


class _Objective:
    """Fits and measures; what was tried before is not fitted again."""

    def __init__(self, recipe: Recipe, settings: FitSettings, data: TrainingData) -> None:
        holdout = split(data.sequences)
        self._recipe, self._settings = recipe, settings
        self._data = data.of_users(holdout.train_users, holdout.train)
        share = min(VALIDATION_SHARE, VALIDATION_USERS / max(self._data.sequences.users, 1))
        self._validation = split(self._data.sequences, share=share, seed=VALIDATION_SEED)
        self._training = self._data.of_users(self._validation.train_users, self._validation.train)
        self._known: dict[tuple[Value, ...], Trial] = {}
        self.users = self._validation.given.users

    def __call__(self, searched: Mapping[str, Value]) -> Trial:
        key = tuple(searched.values())
        if key not in self._known:
            settings = replace(self._settings, algorithm={**self._settings.algorithm, **searched})
            fitted = load(self._recipe, settings).fit(self._training)
            answers = fitted.model.answer(queries(self._data, self._validation))
            ranked = np.array([top(logits, LIST_LENGTH) for logits in answers])
            metrics = offline_metrics(ranked, self._validation.relevant, self._data.catalogue_size)
            self._known[key] = Trial(searched, metrics[NDCG], fitted.epochs)
        return self._known[key]


def _study(seed: int, trials: int) -> Study:
    import optuna

    # Its own lines would come beside ours.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # TPE draws at random until it has seen enough; its default, ten, would make a search of ten trials all random.
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=min(10, max(3, trials // 3)))
    return optuna.create_study(direction="maximize", sampler=sampler)


def _distribution(one: Hyperparameter) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if one.values:
        return CategoricalDistribution(one.values)
    if one.kind == "integer":
        return IntDistribution(int(one.minimum), int(one.maximum))
    return FloatDistribution(one.minimum, one.maximum)


def _inside(one: Hyperparameter, value: Value) -> bool:
    return one.format(value) in one.values if one.values else one.minimum <= float(value) <= one.maximum


def _stored(one: Hyperparameter, value: Value) -> Value:
    """Optuna keeps booleans and categories as the strings that clients give."""
    return one.format(value) if one.values else value


def _value(one: Hyperparameter, stored: Value) -> Value:
    return one.parse(str(stored)) if one.values else stored


def _shown(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
