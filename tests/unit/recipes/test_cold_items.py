"""How likely items with few events are, and what aws-hrnn-coldstart calls cold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.recipes.catalogue import recipe_by_name
from pipelines.recipes.cold_items import DAY, ColdStart, log_rates, log_shares
from pipelines.recipes.contract import CannotTrain, FitSettings, Queries, load
from pipelines.recipes.sequence import SequenceRecipe
from pipelines.recipes.training_data import TrainingData
from tests.support.described import EACH, described
from tests.support.recipe_contract import from_lists, training_data


def rates(data: TrainingData) -> np.ndarray:
    return log_rates(data, np.ones(len(data.sequences.items), np.float32))


def test_the_shares_of_items_are_those_of_their_events_where_nobody_says_when_they_were_created() -> None:
    data = training_data(from_lists([0, 0, 0, 1]), 3)
    assert np.exp(log_shares(rates(data))) == pytest.approx(np.array([3.5, 1.5, 0.5]) / 5.5)


def test_an_item_created_this_moment_has_the_mean_share_and_one_never_touched_the_smallest() -> None:
    data = training_data(from_lists([0] * 60 + [1] * 40), 4)
    created = np.array([0, 0, 0, data.newest + 1])
    found = rates(replace(data, created=created, dated=np.ones(4, np.bool_)))
    assert found[3] == 0
    assert found[0] > found[1] > found[3] > found[2]


def test_the_same_events_in_less_time_are_a_higher_rate() -> None:
    data = training_data(from_lists([0] * 50 + [1] * 5 + [2] * 5), 3)
    created = np.array([0, 0, int(data.sequences.times[-5])])
    found = rates(replace(data, created=created, dated=np.ones(3, np.bool_)))
    assert found[2] > found[0] > found[1]


def days_old(*ages: float, counts: int = 1) -> TrainingData:
    """Items whose first event was so many days before the newest of all; `counts` events each."""
    data = training_data(from_lists(*[[item] * counts for item in range(len(ages))]), len(ages))
    times = 1_600_000_000 - np.repeat(np.array(ages) * DAY, counts).astype(np.int64)
    return replace(data, sequences=replace(data.sequences, times=times))


def test_an_item_is_cold_while_it_is_young_and_has_few_events() -> None:
    assert ColdStart(2, 5.0, "latestItem").cold(days_old(0, 4.9, 5.1)).tolist() == [True, True, False]
    assert not ColdStart(2, 5.0, "latestItem").cold(days_old(0, 1, counts=2)).any()


def test_ages_count_from_the_youngest_item_or_from_the_newest_interaction() -> None:
    data = days_old(3, 7)
    late = from_lists([0, 0], [1])
    sequences = replace(late, times=np.append(data.sequences.times[0], [1_600_000_000, data.sequences.times[1]]))
    data = replace(data, sequences=sequences)
    assert ColdStart(9, 5.0, "latestItem").cold(data).tolist() == [True, True]
    assert ColdStart(9, 5.0, "currentTime").cold(data).tolist() == [True, False]


@pytest.mark.parametrize(("found", "advice"), [(99, "Raise cold_start_max"), (80_001, "Lower cold_start_max")])
def test_too_few_and_too_many_cold_items_cannot_train(found: int, advice: str) -> None:
    cold = np.ones(found, np.bool_)
    with pytest.raises(CannotTrain, match=rf"{found} cold start items, but between 100 and 80000 .* {advice}"):
        ColdStart(15, 5.0, "latestItem").check(cold)


def coldstart(**given: str) -> SequenceRecipe:
    found = recipe_by_name("aws-hrnn-coldstart")
    assert found is not None
    settings = FitSettings(found.algorithm_values({"hidden_dimension": "32"}), found.featurization_values(given), 0, 1)
    code = load(found, settings)
    assert isinstance(code, SequenceRecipe)
    return code


def test_a_dataset_without_new_items_fails_and_says_what_to_do() -> None:
    with pytest.raises(CannotTrain, match="The dataset has 10 cold start items"):
        coldstart(cold_start_max_interactions="1").fit(described(users=40), 1)


def test_cold_items_are_recommended_where_their_metadata_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    # 30 of the 100 items are new; that many is enough for a small test.
    monkeypatch.setattr("pipelines.recipes.cold_items.FEWEST", 30)
    data = described(users=200, cold=0.3)
    code = coldstart(cold_start_max_interactions="5")
    model = code.fit(data, 25).model
    appearing, right = [], []
    for user in range(20):
        given = data.sequences.of_users(np.array([user]))
        bags = data.user_features.bags.of(np.array([user]))
        [logits] = model.answer(Queries(given, bags, np.zeros((1, 1), np.int32)))
        best = np.argsort(-logits, kind="stable")[:10]
        new = best[best % EACH >= EACH * 0.7]
        appearing.append(len(new))
        right.append(new // EACH == int(bags.codes[0]))
    assert np.mean(appearing) >= 1
    assert np.concatenate(right).mean() > 0.8
