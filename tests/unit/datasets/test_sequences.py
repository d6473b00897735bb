"""Order, cutting and joining of sequences."""

from __future__ import annotations

import numpy as np

from pipelines.datasets.sequences import make_sequences, shuffled


def test_events_are_ordered_by_user_and_time() -> None:
    made = make_sequences(
        np.array([1, 0, 1, 0]), np.array([10, 11, 12, 13]), np.array([5, 9, 1, 2]), np.zeros(4, np.int64), 3
    )
    assert made.offsets.tolist() == [0, 2, 4, 4]
    assert made.items.tolist() == [13, 11, 12, 10]
    assert made.times.tolist() == [2, 9, 1, 5]


def test_equal_times_do_not_follow_the_item_codes() -> None:
    users = np.repeat(np.arange(50), 20)
    items = np.tile(np.arange(20), 50)
    made = make_sequences(users, items, np.zeros(1000, np.int64), np.zeros(1000, np.int64), 50)
    rising = np.mean([np.diff(made.items_of(user)) > 0 for user in range(50)])
    assert 0.4 < rising < 0.6


def test_the_order_of_equal_times_does_not_depend_on_the_order_of_the_rows() -> None:
    random = np.random.default_rng(3)
    users, items, times = random.integers(0, 5, 300), random.permutation(300), random.integers(0, 4, 300)
    mixed = random.permutation(300)
    zeros = np.zeros(300, np.int64)
    first = make_sequences(users, items, times, zeros, 5)
    second = make_sequences(users[mixed], items[mixed], times[mixed], zeros, 5)
    assert first.items.tolist() == second.items.tolist()


def test_streamed_events_of_one_second_keep_their_arrival_and_follow_the_imported_ones() -> None:
    items = np.arange(12)
    arrivals = np.array([0] * 6 + [6, 5, 4, 3, 2, 1])
    made = make_sequences(np.zeros(12, np.int64), items, np.full(12, 7), arrivals, 1)
    assert made.items[6:].tolist() == [11, 10, 9, 8, 7, 6]
    assert sorted(made.items[:6].tolist()) == [0, 1, 2, 3, 4, 5]


def test_a_streamed_event_that_is_older_than_an_imported_one_goes_before_it() -> None:
    made = make_sequences(np.zeros(2, np.int64), np.array([0, 1]), np.array([50, 40]), np.array([0, 1]), 1)
    assert made.items.tolist() == [1, 0]


def test_the_pseudo_random_order_is_the_same_on_every_machine() -> None:
    assert shuffled(np.array([0, 1]), np.array([2, 3])).tolist() == [4455725808831290745, 18107108118898898902]


def test_selected_users_come_in_the_order_asked_for() -> None:
    made = make_sequences(np.array([0, 0, 1, 2, 2]), np.arange(5), np.arange(5), np.zeros(5, np.int64), 3).of_users(
        np.array([2, 0])
    )
    assert made.items[made.offsets[0] : made.offsets[1]].size == 2
    assert made.times.tolist() == [3, 4, 0, 1]


def test_the_newest_events_can_be_cut_off() -> None:
    made = make_sequences(np.array([0, 0, 0, 1]), np.arange(4), np.arange(4), np.zeros(4, np.int64), 2)
    cut = made.without_newest(np.array([2, 1]))
    assert cut.offsets.tolist() == [0, 1, 1]
    assert cut.times.tolist() == [0]
