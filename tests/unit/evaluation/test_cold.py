"""Cold users and cold items, measured apart, against numbers computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.evaluation.cold import ColdItems, auc, cold_users


def test_users_are_grouped_by_how_many_events_they_are_asked_with() -> None:
    relevant = [np.array([0]), np.array([1]), np.array([2]), np.array([3]), np.array([9])]
    lists = {
        "model": np.array([[0, 7], [7, 1], [7, 8], [3, 7], [7, 8]]),
        "popularity": np.array([[7, 8]] * 5),
    }
    # A hit at rank 1 is worth 1, at rank 2 1 / log2(3) = 0.63093.
    assert cold_users(lists, relevant, np.array([0, 0, 2, 1, 3])) == {
        "no_events": {"users": 2, "ndcg_at_25": {"model": 0.815465, "popularity": 0.0}},
        "few_events": {"users": 2, "ndcg_at_25": {"model": 0.5, "popularity": 0.0}},
        "more_events": {"users": 1, "ndcg_at_25": {"model": 0.0, "popularity": 0.0}},
    }


def test_a_group_without_users_is_not_measurable() -> None:
    found = cold_users({"model": np.array([[0]])}, [np.array([0])], np.array([20]))
    assert found["no_events"] == {"not_measurable": "every test user has events"}
    assert found["few_events"] == {"not_measurable": "no test user has fewer than 3 events"}
    assert found["more_events"]["users"] == 1


def test_cold_items_are_counted_in_the_lists_and_ordered_among_themselves() -> None:
    cold = ColdItems(np.array([5, 0, 3, 0, 0]))  # 1, 3 and 4 are cold
    logits = np.array([9, 1, 8, 3, 2], np.float32)
    cold.add(logits, np.array([0, 2, 3]), np.array([0, 4]))  # 4 lies above 1 and below 3
    cold.add(logits, np.array([0, 2]), np.array([3]))  # above both
    cold.add(logits, np.array([0, 3]), np.array([2]))  # took none
    assert cold.report() == {
        "items": 3,
        "share_of_top_25": pytest.approx((1 / 3 + 0 + 1 / 2) / 3, abs=1e-6),
        "queries": 2,
        "found": 0.0,
        "auc": 0.75,
    }


def test_a_cold_item_that_was_recommended_and_taken_is_found() -> None:
    cold = ColdItems(np.array([1, 0, 0]))
    cold.add(np.array([0, 2, 1], np.float32), np.array([1]), np.array([1, 2]))
    # Both were taken: there is nothing to rank them above.
    assert cold.report() == {"items": 2, "share_of_top_25": 1.0, "queries": 1, "found": 0.5}


def test_equal_logits_are_chance() -> None:
    assert auc(np.zeros(5, np.float32), np.array([True, False, False, True, False])) == 0.5
    assert auc(np.array([1, 2, 2], np.float32), np.array([False, True, False])) == 0.75


def test_without_cold_items_or_test_users_nothing_is_measurable() -> None:
    assert ColdItems(np.array([1, 1])).report() == {"not_measurable": "every item has events in the training part"}
    assert ColdItems(np.array([1, 0])).report() == {"not_measurable": "there are no test users"}
