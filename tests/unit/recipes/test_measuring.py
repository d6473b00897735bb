"""What is measured of a version whatever its recipe: here one that answers with what follows each item in the catalogue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.evaluation.holdout import split
from pipelines.recipes.catalogue import recipe_by_name
from pipelines.recipes.contract import CannotTrain, Fitted, Queries
from pipelines.recipes.measuring import evaluate, evaluate_in_time, measure, rivals
from pipelines.recipes.training_data import TrainingData
from tests.support.measured import ITEMS, Follower, FollowerRecipe, walking
from tests.support.recipe_contract import drifting

NDCG = "normalized_discounted_cumulative_gain_at_25"


def test_it_is_fitted_once_on_the_training_users_and_measured_on_the_others() -> None:
    code, data = FollowerRecipe(), walking()
    found = evaluate(code, data)
    ((fitted_on, epochs),) = code.fits
    assert epochs is None and found.best_epoch == 5
    assert (len(fitted_on.user_ids), found.test_users) == (54, 6)
    # Of two held-out items it finds the next: 1 / (1 + 1 / log2(3)).
    assert found.metrics[NDCG] == pytest.approx(0.6131, abs=1e-4)
    assert set(found.baselines) == {"popularity", "repeat", "markov"}
    assert set(found.measured.novelty) == {"model", "popularity", "repeat", "markov"}
    assert found.measured.novelty["model"] > found.measured.novelty["popularity"]


def test_scores_are_compared_with_what_came_next_if_they_are_scores() -> None:
    sure, unsure = (evaluate(FollowerRecipe(sure), walking(), scores=True).measured for sure in (20.0, 3.0))
    assert sure.calibration["ece"] < 0.001
    assert sure.calibration["queries"] == 6
    # It is always right and gives it e^3 / (e^3 + 99).
    assert unsure.calibration["bins"][-1]["score"] == pytest.approx(0.168665, abs=1e-5)
    assert unsure.calibration["bins"][-1]["came_true"] == 1
    unscored = evaluate(FollowerRecipe(), walking()).measured
    assert unscored.calibration == {"not_measurable": "answers of this recipe carry no scores"}


def test_the_later_fit_sees_nothing_from_the_cut_on_and_trains_as_long() -> None:
    code, data = FollowerRecipe(), walking()
    found = evaluate_in_time(code, data, 7, scores=True)
    ((fitted_on, epochs),) = code.fits
    assert epochs == 7
    assert found["since"] == np.sort(data.sequences.times)[1080]
    assert fitted_on.sequences.times.max() < found["since"]
    # The last six users have no events before it: they are asked nothing and get nothing right.
    assert found["test_users"] == 6
    assert found["cold_users"]["no_events"]["users"] == 6
    assert found["cold_users"]["few_events"] == {"not_measurable": "no test user has fewer than 3 events"}
    assert set(found["metrics"]) == set(evaluate(code, data).metrics)


def test_new_items_are_measured_apart() -> None:
    data = walking()
    found = evaluate_in_time(FollowerRecipe(), data, 1)["cold_items"]
    seen = np.unique(data.sequences.items[: 54 * 20])
    assert found["items"] == ITEMS - len(seen)
    assert found["queries"] > 0
    # A model that knows nothing of them.
    assert found["auc"] == 0.5


def test_data_that_cannot_be_split_by_time_is_no_failure() -> None:
    data = walking()
    flat = replace(data, sequences=replace(data.sequences, times=np.full(1200, 7)))
    assert evaluate_in_time(FollowerRecipe(), flat, 1) == {"not_measurable": "all events have the same timestamp"}

    class Refusing(FollowerRecipe):
        def fit(self, data: TrainingData, epochs: int | None = None) -> Fitted:
            raise CannotTrain("Too few.")

    assert evaluate_in_time(Refusing(), data, 1) == {"not_measurable": "Too few."}


@pytest.mark.parametrize(
    ("name", "beaten"),
    [
        ("aws-user-personalization", {"popularity", "repeat", "markov"}),
        ("aws-sims", {"popularity"}),
        ("aws-popularity-count", set()),
    ],
)
def test_a_recipe_is_to_beat_what_answers_the_same_question(name: str, beaten: set[str]) -> None:
    recipe = recipe_by_name(name)
    assert recipe is not None
    assert set(rivals(recipe)) == beaten


def test_what_is_not_served_is_not_counted() -> None:
    class Picky(Follower):
        def answer(self, queries: Queries) -> Iterator[NDArray[np.float32]]:
            for logits in super().answer(queries):
                yield np.where(logits > 0, logits, -np.inf).astype(np.float32)

    data = walking()
    found = measure(Picky(ITEMS), data, split(data.sequences), scores=True)
    assert found.metrics["coverage"] == 0.06
    assert found.metrics[NDCG] == pytest.approx(0.6131, abs=1e-4)
    assert (found.calibration["mean_score"], found.calibration["ece"]) == (1, 0)


def test_a_model_that_leaves_users_out_is_a_defect() -> None:
    class Short(Follower):
        def answer(self, queries: Queries) -> Iterator[NDArray[np.float32]]:
            yield from list(super().answer(queries))[1:]

    data = walking()
    with pytest.raises(ValueError, match="zip"):
        measure(Short(ITEMS), data, split(data.sequences), scores=False)


@pytest.mark.parametrize("scores", [True, False])
def test_all_numbers_are_json_and_the_same_twice(scores: bool) -> None:
    def document() -> str:
        code, data = FollowerRecipe(), drifting(users=60)
        found: dict[str, Any] = asdict(evaluate(code, data, scores=scores).measured)
        return json.dumps([found, evaluate_in_time(code, data, 1, scores=scores)], allow_nan=False)

    assert document() == document()
    # What the registry keeps of a version is bounded.
    assert len(document()) < 10_000
