"""The baselines do what their names say, over the whole catalogue, with nothing removed."""

from __future__ import annotations

import numpy as np

from pipelines.datasets.sequences import Sequences
from pipelines.evaluation.baselines import markov, popularity, repeat


def users(*histories: list[int]) -> Sequences:
    offsets = np.cumsum([0, *map(len, histories)]).astype(np.int64)
    items = np.array([item for history in histories for item in history], np.int32)
    return Sequences(offsets, items, np.arange(len(items)))


TRAIN = users([0, 1, 2, 1], [1, 2, 3], [0, 3])  # counts: 1 three times, 0, 2 and 3 twice, 4 never


def test_popularity_is_one_list_for_everybody_equal_counts_in_catalogue_order() -> None:
    assert popularity(TRAIN, users([4], [1, 1]), 5).tolist() == [[1, 0, 2, 3, 4]] * 2


def test_repeat_answers_the_newest_own_items_once_then_popular_ones() -> None:
    assert repeat(TRAIN, users([4, 2, 4, 3]), 5).tolist() == [[3, 4, 2, 1, 0]]


def test_markov_answers_what_followed_the_last_item_most_often_then_popular_ones() -> None:
    # After 1 came 2 twice; after 2 came 1 and 3 once each, 1 being the more popular.
    assert markov(TRAIN, users([0, 1], [2]), 5).tolist() == [[2, 1, 0, 3, 4], [1, 3, 0, 2, 4]]


def test_markov_never_joins_the_end_of_one_user_to_the_start_of_the_next() -> None:
    assert markov(users([0, 1], [2, 3]), users([1]), 4).tolist() == [[0, 1, 2, 3]]


def test_markov_of_an_item_nobody_left_is_popularity() -> None:
    assert markov(TRAIN, users([4]), 5).tolist() == popularity(TRAIN, users([4]), 5).tolist()


def test_lists_stop_at_25() -> None:
    train = users(list(range(40)))
    for baseline in (popularity, repeat, markov):
        assert baseline(train, users([3, 7]), 40).shape == (1, 25)
