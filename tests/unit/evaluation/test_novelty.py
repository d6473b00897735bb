"""Novelty in bits, against numbers computed by hand."""

from __future__ import annotations

import numpy as np

from pipelines.evaluation.novelty import novelty

COUNTS = np.array([4, 2, 1, 1, 0])  # of 8 events: 1, 2, 3 and 3 bits; never seen counts as once: 3


def test_it_is_the_mean_self_information_of_all_recommended_items() -> None:
    assert novelty(np.array([[0, 1], [2, 4]]), COUNTS) == (1 + 2 + 3 + 3) / 4
    assert novelty(np.array([[0, 1], [2, -1]]), COUNTS) == (1 + 2 + 3) / 3


def test_popular_lists_have_the_least() -> None:
    lists = [[0, 1], [0, 2], [1, 2], [2, 3], [3, 4]]
    assert min(lists, key=lambda items: novelty(np.array([items]), COUNTS)) == [0, 1]


def test_without_answers_or_without_events_it_is_a_number() -> None:
    assert novelty(np.zeros((0, 25), np.int64), COUNTS) == 0
    assert novelty(np.array([[0]]), np.zeros(1, np.int64)) == 0
