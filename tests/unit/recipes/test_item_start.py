"""Where item vectors start from."""

from __future__ import annotations

import numpy as np

from pipelines.recipes.item_start import item_start
from tests.support.recipe_contract import drifting, from_lists


def test_items_that_go_together_start_close() -> None:
    start = item_start(drifting().sequences, 100, 32, 0.6)
    together = start @ start.T
    same = np.equal.outer(np.arange(100) // 10, np.arange(100) // 10)
    assert together[same].mean() > 3 * abs(together[~same].mean())
    assert np.isclose(np.linalg.norm(start, axis=1).mean(), 0.6, atol=1e-4)


def test_two_calls_give_the_same_numbers() -> None:
    data = drifting(users=30).sequences
    assert np.array_equal(item_start(data, 100, 16, 0.6), item_start(data, 100, 16, 0.6))


def test_less_data_than_dimensions_leaves_zeros() -> None:
    start = item_start(from_lists([0, 1, 2], [0, 2], [1, 1]), 3, 8, 0.6)
    assert start[:, :2].any()
    assert not start[:, 2:].any()
    assert not item_start(from_lists([0]), 1, 8, 0.6).any()
