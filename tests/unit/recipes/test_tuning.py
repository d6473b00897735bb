"""A search finds better hyperparameters, the same way each time, on users who neither train nor test."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipelines.evaluation.holdout import split
from pipelines.recipes.catalogue import Recipe
from pipelines.recipes.contract import CannotTrain, FitSettings, Fitted
from pipelines.recipes.hyperparameters import Hyperparameter, Value
from pipelines.recipes.ranges import Search, read_search
from pipelines.recipes.tables import TableModel, TableRecipe, distinct_users
from pipelines.recipes.training_data import TrainingData
from pipelines.recipes.tuning import Tuned, tune
from pipelines.serving.parts import Neighbours
from tests.support.recipe_contract import drifting


class DialRecipe(TableRecipe):
    """A recipe of our own, best at dial 0.8, size 7, turned: the table of what came after each item, blurred by as much
    as the dials are away from that."""

    def table(self, data: TrainingData) -> TableModel:
        if not data.items:
            raise CannotTrain("nothing to learn from")
        before, following = data.sequences.transitions()
        after = np.zeros((data.items, data.items), np.float32)
        np.add.at(after, (before, following), 1.0)
        told = self.settings.algorithm
        distance = abs(float(told["dial"]) - 0.8) + abs(float(told["size"]) - 7) / 10 + (not told["turned"])
        blurred = after / after.max() + 4 * distance * np.random.default_rng(0).random(after.shape, np.float32)
        order = np.argsort(-blurred, axis=1).astype(np.int32)
        neighbours = Neighbours(order, np.take_along_axis(blurred, order, axis=1))
        return TableModel(distinct_users(data.sequences, data.items), neighbours)


RECIPE = Recipe(
    "own-dial",
    "USER_PERSONALIZATION",
    "",
    (
        Hyperparameter("dial", "continuous", 0.1, 0.0, 1.0, tunable=True),
        Hyperparameter("size", "integer", 1, 1, 10, tunable=True),
        Hyperparameter("turned", "boolean", False, tunable=True),
        Hyperparameter("colour", "categorical", "red", values=("red", "blue"), tunable=True),
        Hyperparameter("still", "integer", 3),
    ),
    family="tests.unit.recipes.test_tuning:DialRecipe",
)


def settings(seed: int = 0, **told: Value) -> FitSettings:
    return FitSettings({**RECIPE.algorithm_values({}), **told}, {}, seed, 1)


def searched(trials: int, fixed: Mapping[str, str] | None = None, **ranges: Any) -> Search:
    return replace(read_search(RECIPE, {"algorithmHyperParameterRanges": ranges}, fixed or {}), trials=trials)


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return drifting(users=300)


@pytest.fixture(scope="module")
def found(data: TrainingData) -> Tuned:
    return tune(RECIPE, settings(), searched(15), data)


def test_the_search_gets_better_and_begins_with_what_is_configured(found: Tuned) -> None:
    first, best = found.trials[0], max(found.trials, key=lambda trial: trial.ndcg_at_25)
    assert first.hyperparameters == {"dial": 0.1, "size": 1, "turned": False, "colour": "red"}
    assert best.ndcg_at_25 > first.ndcg_at_25 + 0.05
    assert found.best == {**best.hyperparameters, "still": 3}
    assert found.best["turned"] is True


def test_every_trial_lies_within_the_ranges(found: Tuned) -> None:
    for trial in found.trials:
        told = trial.hyperparameters
        assert 0 <= told["dial"] <= 1 and 1 <= told["size"] <= 10  # type: ignore[operator]
        assert (type(told["size"]), type(told["turned"])) == (int, bool)
        assert told["colour"] in ("red", "blue")


def test_the_same_search_twice_is_the_same_and_another_seed_another(data: TrainingData, found: Tuned) -> None:
    assert tune(RECIPE, settings(), searched(15), data) == found
    assert tune(RECIPE, settings(seed=1), searched(15), data).trials[1:] != found.trials[1:]


def test_only_named_ranges_are_searched(data: TrainingData) -> None:
    narrow = searched(
        4,
        integerHyperParameterRanges=[{"name": "size", "minValue": 6, "maxValue": 8}],
        categoricalHyperParameterRanges=[{"name": "turned", "values": ["True"]}],
    )
    tuned = tune(RECIPE, settings(dial=0.5), narrow, data)
    # What is configured lies outside the ranges, so it is not tried.
    assert {trial.hyperparameters["turned"] for trial in tuned.trials} == {True}
    assert all(6 <= int(trial.hyperparameters["size"]) <= 8 for trial in tuned.trials)
    assert (tuned.best["dial"], tuned.best["colour"]) == (0.5, "red")


def test_what_was_tried_before_is_not_fitted_again(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from tests.unit.recipes import test_tuning as loaded

    fits: list[Any] = []
    fit = loaded.DialRecipe.fit

    def counted(self: DialRecipe, data: TrainingData, epochs: int | None = None) -> Fitted:
        fits.append(self.settings.algorithm["turned"])
        return fit(self, data, epochs)

    monkeypatch.setattr(loaded.DialRecipe, "fit", counted)
    only = searched(6, categoricalHyperParameterRanges=[{"name": "turned", "values": ["True", "False"]}])
    assert len(tune(RECIPE, settings(), only, data).trials) == 6
    assert sorted(fits) == [False, True]


def test_test_users_are_never_seen(data: TrainingData, found: Tuned) -> None:
    holdout = split(data.sequences)
    changed = data.sequences.items.copy()
    for user in holdout.test_users:
        changed[data.sequences.offsets[user] : data.sequences.offsets[user + 1]] = 0
    others = replace(data, sequences=replace(data.sequences, items=changed))
    assert tune(RECIPE, settings(), searched(15), others) == found


def test_each_trial_is_a_log_line_with_time_left(data: TrainingData, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        tune(RECIPE, settings(), searched(2), data)
    lines = [record.message for record in caplog.records if record.message.startswith("trials: 1 of 2 (50 %)")]
    assert len(lines) == 1
    assert " s left; NDCG@25 0." in lines[0]
    assert "with dial 0.1, size 1, turned False, colour red; best so far 0." in lines[0]
    assert lines[0].endswith("in trial 1")


def test_the_report_is_json_with_every_trial(found: Tuned) -> None:
    report = json.loads(json.dumps(found.to_json()))
    assert report["best"] == found.best
    assert [trial["ndcg_at_25"] for trial in report["trials"]] == [trial.ndcg_at_25 for trial in found.trials]
    assert report["validation_users"] == math.ceil(0.2 * 270)


def test_data_that_cannot_be_trained_on_says_so(data: TrainingData) -> None:
    nothing = replace(data, item_ids=[])
    with pytest.raises(CannotTrain, match="nothing to learn from"):
        tune(RECIPE, settings(), searched(2), nothing)
