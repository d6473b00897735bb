"""The split by time: nothing from the cut on is learned from, everybody with later events is asked."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.datasets.sequences import Sequences, make_sequences
from pipelines.evaluation import temporal
from pipelines.evaluation.reports import NotMeasurable
from pipelines.evaluation.temporal import cut, split


def sequences(*users: dict[int, int], context: bool = False) -> Sequences:
    """One user a dict, time -> item."""
    rows = [(user, item, time) for user, events in enumerate(users) for time, item in events.items()]
    user, item, time = np.array(rows).T
    situation = item[:, None].astype(np.int32) + 100 if context else None
    return make_sequences(user, item, time, np.arange(1, len(rows) + 1), len(users), situation)


def test_the_newest_tenth_of_the_events_is_held_out() -> None:
    assert cut(np.arange(100)) == 90


@pytest.mark.parametrize(
    ("times", "at"),
    [
        # 30 % at the newest second: all of them, because none would be less.
        ([0] * 70 + [1] * 30, 1),
        # 12 % with the larger group of equal times, 2 % without: the nearer to 10 %.
        ([*range(88), *[88] * 10, 99, 99], 88),
        # 45 % with it, 5 % without.
        ([*range(55), *[55] * 40, *range(95, 100)], 95),
        ([3, 4], 4),
    ],
)
def test_events_of_one_second_stay_together(times: list[int], at: int) -> None:
    assert cut(np.array(times)) == at


@pytest.mark.parametrize(("times", "why"), [([7] * 50, "the same timestamp"), ([], "no events")])
def test_without_two_moments_there_is_nothing_to_split(times: list[int], why: str) -> None:
    with pytest.raises(NotMeasurable, match=why):
        cut(np.array(times, np.int64))


def test_training_ends_before_the_cut_and_later_events_are_asked_for() -> None:
    holdout = split(sequences({1: 0, 2: 1, 9: 2, 10: 2, 11: 4}, {3: 5, 4: 5}, {9: 7}, context=True), 9)
    assert holdout.train_users.tolist() == [0, 1]
    assert holdout.train.items.tolist() == [0, 1, 5, 5]
    assert holdout.test_users.tolist() == [0, 2]
    assert holdout.given.items_of(0).tolist() == [0, 1]
    assert holdout.given.items_of(1).tolist() == []
    assert [items.tolist() for items in holdout.relevant] == [[2, 4], [7]]
    assert holdout.next_items.tolist() == [2, 7]
    assert holdout.context.tolist() == [[102], [107]]


def test_it_learns_from_the_users_who_were_active_last(monkeypatch: pytest.MonkeyPatch) -> None:
    users = sequences({1: 0, 30: 0}, {2: 1, 3: 1}, {8: 2, 9: 2}, {4: 3, 5: 3}, {6: 4, 7: 4}, {1: 5, 8: 5})
    # A third of 11 events; users 2 and 5 have four.
    monkeypatch.setattr(temporal, "LEARNED_EVENTS", 0)
    assert split(users, 30).train_users.tolist() == [2, 5]
    monkeypatch.setattr(temporal, "LEARNED_EVENTS", 5)
    assert split(users, 30).train_users.tolist() == [2, 4, 5]
    monkeypatch.setattr(temporal, "LEARNED_EVENTS", 12)
    assert split(users, 30).train_users.tolist() == [0, 1, 2, 3, 4, 5]


def test_too_little_before_the_cut_is_not_measurable() -> None:
    with pytest.raises(NotMeasurable, match="no user has two events"):
        split(sequences({1: 0, 2: 1}, {1: 3}), 2)


def test_of_too_many_test_users_some_are_asked_the_same_each_time() -> None:
    many = sequences(*[{1: 0, 2: 1, 3: 2}] * 50)
    chosen = split(many, 3, test_users=10)
    assert chosen.given.users == len(chosen.relevant) == 10
    assert chosen.train.users == 50
    assert chosen.test_users.tolist() == split(many, 3, test_users=10).test_users.tolist()
    assert chosen.test_users.tolist() != list(range(10))
