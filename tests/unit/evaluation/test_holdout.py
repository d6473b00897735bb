"""Whole users are held out, and of them the newest 10 % (spec/training.md section 7.1)."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.datasets.sequences import Sequences
from pipelines.evaluation.holdout import split


def sequences(*lengths: int) -> Sequences:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = np.arange(offsets[-1])
    # Item n belongs to one user only, so that an item tells whose it is.
    return Sequences(offsets, rows.astype(np.int32), rows * 10)


def test_one_user_in_ten_is_a_test_user() -> None:
    holdout = split(sequences(*[20] * 100))
    assert (holdout.train.users, holdout.given.users) == (90, 10)


def test_no_event_of_a_test_user_trains() -> None:
    holdout = split(sequences(*[20] * 100))
    tested = np.concatenate([holdout.given.items, *holdout.relevant])
    assert not np.isin(tested, holdout.train.items).any()
    assert len(tested) + len(holdout.train.items) == 2000


@pytest.mark.parametrize(("events", "held_out"), [(2, 1), (5, 1), (10, 1), (14, 1), (15, 2), (20, 2), (100, 10)])
def test_the_newest_tenth_is_held_out_and_at_least_one_event(events: int, held_out: int) -> None:
    holdout = split(sequences(*[events] * 10))
    assert len(holdout.given.items) == events - held_out
    assert list(holdout.relevant[0]) == [holdout.given.items[-1] + n + 1 for n in range(held_out)]


def test_users_with_one_event_are_never_tested() -> None:
    holdout = split(sequences(*[1] * 50, *[4] * 5))
    assert len(holdout.given.items) == 3


def test_the_last_user_who_could_train_does() -> None:
    assert split(sequences(9)).given.users == 0
    assert split(sequences(9)).train.users == 1


def test_the_choice_depends_on_the_seed_alone() -> None:
    data = sequences(*range(2, 102))
    first, again, other = split(data), split(data), split(data, seed=5)
    assert list(first.given.items) == list(again.given.items)
    assert list(first.given.items) != list(other.given.items)


def test_relevant_items_are_distinct() -> None:
    data = Sequences(np.array([0, 30, 60]), np.tile([1, 2, 3], 20).astype(np.int32), np.arange(60))
    assert list(split(data).relevant[0]) == [1, 2, 3]


def test_the_next_item_is_that_of_the_first_event_held_out() -> None:
    holdout = split(sequences(*[30] * 10))
    assert holdout.next_items.tolist() == [holdout.given.items[-1] + 1]
    assert holdout.next_items[0] == holdout.relevant[0][0]
