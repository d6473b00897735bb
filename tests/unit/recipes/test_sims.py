"""aws-sims: what its hyperparameters do, and its sums against plain loops."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from pipelines.datasets.sequences import Sequences
from pipelines.recipes import sims
from pipelines.recipes.catalogue import recipe_by_name
from pipelines.recipes.contract import FitSettings, Queries, load
from pipelines.recipes.tables import TableModel
from pipelines.serving.parts import Neighbours
from tests.support.recipe_contract import from_lists, training_data

EVERYBODY = {
    f"{end}_{what}_percentile": float(end == "max")
    for end in ("min", "max")
    for what in ("user_history_length", "item_interaction_count")
}


def fitted(sequences: Sequences, items: int, **changed: float) -> TableModel:
    """With every user and item and pair unless `changed`."""
    recipe = recipe_by_name("aws-sims")
    assert recipe is not None
    values = {"popularity_discount_factor": 0.5, "min_cointeraction_count": 1, **EVERYBODY, **changed}
    algorithm = {name: values[name] for name in recipe.algorithm_values({})}
    featurization = {name: values[name] for name in recipe.featurization_values({})}
    model = load(recipe, FitSettings(algorithm, featurization)).fit(training_data(sequences, items)).model
    assert isinstance(model, TableModel)
    return model


def around(model: TableModel, item: int) -> list[int]:
    assert model.neighbours is not None
    return [code for code in model.neighbours.items[item].tolist() if code >= 0]


def naive(histories: list[list[int]], items: int, discount: float, least: int) -> list[list[int]]:
    """The formula of sims.py by loops."""
    closeness, both, users = Counter[tuple[int, int]](), Counter[tuple[int, int]](), Counter[int]()
    for history in histories:
        newest = [item for at, item in enumerate(history) if item not in history[at + 1 :]]
        users.update(newest)
        for (at, one), (later, other) in combinations(enumerate(newest), 2):
            for pair in ((one, other), (other, one)):
                both[pair] += 1
                closeness[pair] += sims.CO_INTERACTION
                closeness[pair] += (later - at) ** -0.5 if later - at <= sims.WINDOW else 0.0
    found = []
    for item in range(items):
        similar = {
            other: closeness[item, other] / (users[item] * users[other]) ** discount
            for other in range(items)
            if both[item, other] >= max(least, 1)
        }
        found.append(sorted(similar, key=lambda other: (-round(similar[other], 9), other)))
    return found


@pytest.mark.parametrize(("discount", "least"), [(0.0, 0), (0.5, 3), (0.83, 1), (1.0, 2)])
@pytest.mark.parametrize("chunk", [1, 300, 20_000_000])
def test_neighbours_are_those_of_the_formula_however_the_items_are_cut(
    discount: float, least: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sims, "CHUNK", chunk)
    monkeypatch.setattr(sims, "WINDOW", 5)
    random = np.random.default_rng(3)
    histories = [(random.geometric(0.1, length) % 25).tolist() for length in random.integers(0, 30, 40)]
    table = sims.neighbours(from_lists(*histories), 26, discount, least)
    expected = naive(histories, 26, discount, least)
    for item in range(26):
        row = [code for code in table.items[item].tolist() if code >= 0]
        assert set(row) == set(expected[item])
        falling = table.similarities[item][: len(row)]
        assert (np.diff(falling) <= 0).all()
        # Sums in another order may differ in the last digit, and with it the order of equals.
        assert sum(one != other for one, other in zip(row, expected[item], strict=True)) <= 4


def test_a_discount_of_0_puts_what_is_popular_first_and_1_what_belongs_together() -> None:
    # Item 1 is with everything; item 2 only with item 0.
    histories = [[0, 2, 1]] * 3 + [[0, 1]] * 3 + [[3, 1], [4, 1], [5, 1]] * 10
    assert around(fitted(from_lists(*histories), 6, popularity_discount_factor=0.0), 0)[0] == 1
    assert around(fitted(from_lists(*histories), 6, popularity_discount_factor=1.0), 0)[0] == 2


def test_a_pair_counts_from_the_given_number_of_users_on() -> None:
    sequences = from_lists([0, 1], [0, 1], [0, 2], [0, 2], [0, 2])
    assert [around(fitted(sequences, 3, min_cointeraction_count=k), 0) for k in (0, 2, 3, 4)] == [
        [2, 1],
        [2, 1],
        [2],
        [],
    ]


def test_what_was_close_in_a_history_goes_before_what_was_far() -> None:
    histories = [[0, 1, *range(3, 20), 2]] * 4
    found = around(fitted(from_lists(*histories), 20), 0)
    assert found.index(1) < found.index(2)
    assert 2 in found


def test_coming_back_to_an_item_makes_it_no_more_of_a_neighbour() -> None:
    once, often = (fitted(from_lists(*[history] * 3), 2).neighbours for history in ([0, 1], [0, 1, 1, 1]))
    assert isinstance(once, Neighbours)
    assert isinstance(often, Neighbours)
    assert np.array_equal(once.similarities, often.similarities)


def test_users_outside_the_percentiles_are_left_out() -> None:
    robot = list(range(40))
    sequences = from_lists(*[[0, 1]] * 99, robot)
    assert 39 in around(fitted(sequences, 40), 0)
    assert around(fitted(sequences, 40, max_user_history_length_percentile=0.98), 0) == [1]


def test_items_at_the_ends_of_the_counts_are_nobodys_neighbours_but_stay_popular() -> None:
    # Item 9 has a third of the interactions, item 8 one of them.
    sequences = from_lists(*[[n % 4, 9, 4 + n % 4] for n in range(80)], [8, 0])
    bounds = {"max_item_interaction_count_percentile": 0.6, "min_item_interaction_count_percentile": 0.01}
    model = fitted(sequences, 10, **bounds)
    assert around(model, 9) == around(model, 8) == []
    assert not {8, 9} & {other for item in range(8) for other in around(model, item)}
    answers = model.answer(Queries.plain(from_lists([0, 9], [9, 0])))
    after_9, after_0 = (np.argsort(-logits, kind="stable").tolist() for logits in answers)
    assert after_9[0] != 9
    assert after_9[:8] == sorted(range(8), key=lambda item: (-model.popularity[item], item))
    assert after_0[: len(around(model, 0))] == around(model, 0)
    assert after_0[len(around(model, 0))] == 9


def test_the_answer_to_a_user_is_what_goes_with_their_last_item() -> None:
    model = fitted(from_lists(*[[0, 1]] * 5, *[[2, 3]] * 9), 4)
    first, last, nobody = model.answer(Queries.plain(from_lists([2, 0], [0, 2], [])))
    assert (int(first.argmax()), int(last.argmax())) == (1, 3)
    assert first[0] == last[2] == -np.inf
    assert np.array_equal(nobody, model.popularity)


def test_equally_similar_items_come_in_the_catalogues_order() -> None:
    assert around(fitted(from_lists([0, 3], [0, 2], [0, 1]), 4), 0) == [1, 2, 3]


def test_at_most_500_neighbours_are_kept() -> None:
    model = fitted(from_lists(*[list(range(600))] * 2), 600)
    assert model.neighbours is not None
    assert model.neighbours.items.shape == (600, 500)
    assert (model.neighbours.items >= 0).all()
