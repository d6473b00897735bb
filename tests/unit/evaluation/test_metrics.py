"""The metrics of spec/training.md section 7.2, by its own worked examples."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.evaluation.metrics import hit_matrix, ndcg, offline_metrics, precision, reciprocal_rank

KEYS = {
    "coverage",
    "mean_reciprocal_rank_at_25",
    "normalized_discounted_cumulative_gain_at_5",
    "normalized_discounted_cumulative_gain_at_10",
    "normalized_discounted_cumulative_gain_at_25",
    "precision_at_5",
    "precision_at_10",
    "precision_at_25",
}
ITEMS = np.arange(25)[None]


def test_mean_reciprocal_rank_of_first_hits_at_4_2_and_6_is_0_3056() -> None:
    ranked = np.tile(ITEMS, (3, 1))
    metrics = offline_metrics(ranked, [np.array([3, 9]), np.array([1]), np.array([5, 20])], 25)
    assert metrics["mean_reciprocal_rank_at_25"] == 0.3056


def test_ndcg_of_hits_at_2_and_5_of_two_relevant_items_is_0_6241() -> None:
    metrics = offline_metrics(ITEMS, [np.array([1, 4])], 25)
    assert metrics["normalized_discounted_cumulative_gain_at_5"] == 0.6241


def test_precision_at_5_of_two_hits_is_0_4() -> None:
    assert offline_metrics(ITEMS, [np.array([1, 4])], 25)["precision_at_5"] == 0.4


def test_the_keys_are_the_eight_that_aws_records() -> None:
    assert set(offline_metrics(ITEMS, [np.array([1])], 25)) == KEYS


def test_more_relevant_items_than_k_can_still_reach_1() -> None:
    assert ndcg(hit_matrix(ITEMS, [np.arange(25)]), np.array([25]), 5)[0] == pytest.approx(1)


def test_a_hit_beyond_k_counts_nothing() -> None:
    hits = hit_matrix(ITEMS, [np.array([5])])
    assert ndcg(hits, np.array([1]), 5)[0] == 0
    assert precision(hits, 5)[0] == 0
    assert reciprocal_rank(hits)[0] == pytest.approx(1 / 6)


def test_coverage_counts_distinct_items_over_all_lists() -> None:
    ranked = np.array([[0, 1, 2], [2, 3, 0]])
    assert offline_metrics(ranked, [np.array([9]), np.array([9])], 8)["coverage"] == 0.5


def test_a_list_shorter_than_25_divides_precision_by_k_all_the_same() -> None:
    assert offline_metrics(np.array([[0, 1, 2]]), [np.array([0, 1, 2])], 3)["precision_at_25"] == 0.12


def test_without_test_users_every_metric_is_0() -> None:
    assert set(offline_metrics(np.zeros((0, 25), np.int64), [], 10).values()) == {0.0}


def test_values_have_four_decimals() -> None:
    values = offline_metrics(np.tile(ITEMS, (3, 1)), [np.array([3]), np.array([1]), np.array([5])], 26).values()
    assert all(value == round(value, 4) for value in values)


def test_a_list_that_ends_early_covers_and_hits_what_it_has() -> None:
    metrics = offline_metrics(np.array([[2, -1], [-1, -1]]), [np.array([2]), np.array([0])], 4)
    assert (metrics["coverage"], metrics["mean_reciprocal_rank_at_25"]) == (0.25, 0.5)
