"""The HRNN family: what is its own beside the recipe contract (test_recipes.py)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.recipes import batches
from pipelines.recipes.catalogue import recipe_by_name
from pipelines.recipes.contract import FitSettings, Queries, load
from pipelines.recipes.measuring import evaluate
from pipelines.recipes.sequence import SequenceRecipe
from pipelines.recipes.sequence_model import SequenceModel
from pipelines.serving.artefact import Artefact
from pipelines.serving.asked import Asked
from pipelines.serving.recommender import Recommender
from tests.support.recipe_contract import NDCG, drifting, from_lists, training_data


def recipe(name: str = "aws-user-personalization", **algorithm: str) -> SequenceRecipe:
    found = recipe_by_name(name)
    assert found is not None
    values = found.algorithm_values({"hidden_dimension": "32", **algorithm})
    code = load(found, FitSettings(values, found.featurization_values({}), 0, 1))
    assert isinstance(code, SequenceRecipe)
    return code


def test_both_arns_train_the_same_weights_and_differ_in_their_reader(tmp_path: Path) -> None:
    data = drifting(users=25, each=10)
    artefacts = []
    for name in ("aws-user-personalization", "aws-personalized-ranking"):
        code = recipe(name)
        code.export(code.fit(data, 1).model, data, tmp_path / name, {})
        artefacts.append(Artefact.open(tmp_path / name))
    assert np.array_equal(artefacts[0].answers.item_matrix, artefacts[1].answers.item_matrix)
    assert [a.recipe_type for a in artefacts] == ["USER_PERSONALIZATION", "PERSONALIZED_RANKING"]


def untrained(items: int, seed: int) -> SequenceModel:
    """A model without a side whose weights are drawn at random."""
    import torch

    from pipelines.recipes.gru import HistoryEncoder

    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    history = HistoryEncoder(32)
    torch.nn.init.normal_(history.repeat)
    nothing = np.zeros((0, 33), np.float32)
    return SequenceModel(
        random.normal(size=(items, 33)).astype(np.float32),
        nothing,
        nothing,
        np.zeros(0, np.int64),
        np.zeros(items, np.float32),
        np.zeros(1, np.float32),
        {name: tensor.numpy() for name, tensor in history.state_dict().items()},
    )


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 200, 700])
def test_served_logits_equal_the_training_time_ones(length: int, tmp_path: Path) -> None:
    history = np.random.default_rng(length).integers(0, 60, length).tolist()
    data, model = training_data(from_lists(history), 60), untrained(60, length)
    [expected] = model.answer(Queries.plain(data.sequences))
    recipe().export(model, data, tmp_path / "artefact", {})
    served = Recommender(Artefact.open(tmp_path / "artefact")).logits(Asked("u0"))
    assert np.abs(served - expected).max() < 1e-4


def test_chunk_by_chunk_is_what_serving_computes_at_once() -> None:
    import torch

    from pipelines.recipes.gru import HistoryEncoder

    torch.manual_seed(0)
    vectors, encoder, carried = torch.randn(1, 60, 32), HistoryEncoder(32).eval(), None
    with torch.no_grad():
        for start in range(0, 60, 13):
            found, carried = encoder(vectors[:, start : start + 13], carried)
        assert torch.allclose(found[0, -1], encoder.newest(vectors[0]), atol=1e-5)


def test_of_users_whose_first_event_is_predicted_too_every_event_is_a_target() -> None:
    data = from_lists([1, 2, 3, 4], [9, 10])
    found = list(batches.chunks(data, np.ones(6, np.float32), np.array([0, 1]), 2, 12, from_nothing=True))
    assert [chunk.targets.tolist() for chunk in found] == [[2, 3, 10, 1, 9], [4]]
    assert [chunk.rows.tolist() for chunk in found] == [[0, 0, 1, 0, 1], [0]]


def test_the_situation_is_that_of_the_event_that_is_predicted() -> None:
    data = replace(from_lists([1, 2, 3]), context=np.array([[0], [1], [2]], np.int32))
    [chunk] = batches.chunks(data, np.ones(3, np.float32), np.array([0]), 8, 4, from_nothing=True)
    assert chunk.targets.tolist() == [2, 3, 1]
    assert chunk.context[:, 0].tolist() == [1, 2, 0]


def test_every_event_with_a_predecessor_is_a_target_once() -> None:
    data = from_lists([1, 2, 3, 4, 5, 6, 7], [8], [9, 10, 11])
    users = np.array([0, 2])
    weights = np.ones(11, np.float32)
    found = [chunk.targets for chunk in batches.chunks(data, weights, users, 4, 12)]
    assert sorted(np.concatenate(found).tolist()) == [2, 3, 4, 5, 6, 7, 10, 11]


def test_what_a_user_saw_before_a_target_is_exactly_the_earlier_events() -> None:
    data = from_lists([1, 2, 1], [3, 0])
    [chunk] = batches.chunks(data, np.ones(5, np.float32), np.array([0, 1]), 8, 4)
    pairs = sorted(zip((chunk.seen // 4).tolist(), (chunk.seen % 4).tolist(), strict=True))
    assert chunk.targets.tolist() == [2, 1, 0]
    assert pairs == [(0, 1), (1, 1), (1, 2), (2, 3)]


def test_of_an_item_seen_twice_the_newest_event_counts() -> None:
    [chunk] = batches.chunks(from_lists([1, 2, 1, 1, 0]), np.ones(5, np.float32), np.array([0]), 8, 4)
    last = chunk.seen // 4 == 3
    assert (chunk.seen[last] % 4).tolist() == [1, 2]
    assert chunk.seen_bucket[last].tolist() == [0, 1]


def test_the_lift_of_repeats_is_negative_where_nobody_returns_and_positive_where_all_do() -> None:
    shares = np.full(40, 1 / 40, np.float32)
    never = batches.repeat_lift(from_lists(*[list(range(40))] * 20), shares)
    always = batches.repeat_lift(from_lists(*[[n, n + 1] * 20 for n in range(20)]), shares)
    assert never[:3].max() < -1
    assert always[1] > 2


def test_ages_fall_into_powers_of_two() -> None:
    assert batches.buckets(np.array([1, 2, 3, 4, 7, 8, 127, 128, 5000])).tolist() == [0, 1, 1, 2, 2, 3, 6, 7, 7]


def test_the_recency_mask_weighs_the_newest_four_times_the_oldest() -> None:
    weights = batches.recency_weights(np.arange(1001), True)
    assert weights.mean() == pytest.approx(1, abs=1e-5)
    assert weights[-1] / weights[0] == pytest.approx(4, rel=0.01)
    assert set(batches.recency_weights(np.arange(9), False).tolist()) == {1.0}


def test_the_recency_mask_makes_new_items_popular(tmp_path: Path) -> None:
    # Item 0 was chosen a little more often, item 1 lately.
    histories = [[0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]] * 10
    data = training_data(from_lists(*histories), 2)
    times = np.tile(np.arange(11), 10)
    data = training_data(type(data.sequences)(data.sequences.offsets, data.sequences.items, times), 2)
    masked, plain = (recipe(recency_mask=text)._rates(data) for text in ("true", "false"))
    assert masked[1] > masked[0]
    assert plain[0] > plain[1]


def test_history_percentiles_leave_out_the_longest_users() -> None:
    code = recipe()
    data = from_lists(*[[0, 1, 2]] * 99, list(range(50)) * 4)
    assert code._trainable(data).tolist() == list(range(99))


def test_people_who_return_to_items_are_offered_them_again() -> None:
    random = np.random.default_rng(5)
    own = [random.choice(80, 4, replace=False) for _ in range(300)]
    data = training_data(from_lists(*[random.choice(items, 24).tolist() for items in own]), 80)
    found = evaluate(recipe(), data)
    assert found.metrics[NDCG] > 0.9 * found.baselines["repeat"][NDCG]
    assert found.metrics[NDCG] > 3 * found.baselines["popularity"][NDCG]
