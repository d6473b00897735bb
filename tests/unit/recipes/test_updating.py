"""What an update carries on: places, histories, and newer counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.datasets.sequences import make_sequences
from pipelines.recipes.training_data import TrainingData
from pipelines.recipes.updating import carried_on
from tests.support.described import described


def data(events: str, items: str, users: str, created: int = 0) -> TrainingData:
    """Events like `ua ub vc` (user, item), a second apart; codes in the order of `items` and `users`."""
    pairs = events.split()
    columns = [[users.index(pair[0]) for pair in pairs], [items.index(pair[1]) for pair in pairs]]
    people, things = (np.array(column, np.int64) for column in columns)
    times = 100 + np.arange(len(pairs))
    sequences = make_sequences(people, things, times, np.zeros(len(pairs), np.int64), len(users))
    made = TrainingData.plain(sequences, list(items), list(users))
    return replace(made, created=np.arange(len(items)) + created, shown=10 * np.arange(len(items)))


def histories(data: TrainingData) -> dict[str, str]:
    """User -> items of their history, as they are served."""
    served = data.catalogue(np.zeros(data.items, np.float32)).histories
    bounds = zip(served.offsets, served.offsets[1:], strict=False)
    of_user = ["".join(data.item_ids[code] for code in served.items[start:end]) for start, end in bounds]
    return dict(zip(data.user_ids, of_user, strict=True))


def test_what_was_known_keeps_its_place_and_what_is_new_stands_behind_it() -> None:
    found = carried_on(data("ua ub vc", "abc", "uv"), data("wx vc ub ua uy", "xcbay", "wvu", created=50))
    assert ("".join(found.item_ids), "".join(found.user_ids)) == ("abcxy", "uvw")
    # Of the newer data, item by item.
    assert found.created.tolist() == [53, 52, 51, 50, 54]
    assert found.shown.tolist() == [30, 20, 10, 0, 40]
    assert found.catalogue(np.zeros(5, np.float32)).interactions.tolist() == [1, 1, 1, 1, 1]


def test_histories_are_those_of_the_fit_and_counts_are_newer() -> None:
    found = carried_on(data("ua ub vc", "abc", "uv"), data("ua ub vc vc vc wa", "cab", "vuw"))
    assert histories(found) == {"u": "ab", "v": "c", "w": ""}
    served = found.catalogue(np.zeros(3, np.float32))
    assert dict(zip(found.item_ids, served.interactions.tolist(), strict=True)) == {"a": 2, "b": 1, "c": 3}
    assert served.newest == found.newest == 105


def test_items_that_are_gone_leave_histories_and_users_that_are_gone_keep_theirs() -> None:
    found = carried_on(data("ua ub uc va", "abc", "uv"), data("wb wc", "bc", "w"))
    assert "".join(found.item_ids) == "bc"
    assert histories(found) == {"u": "bc", "v": "", "w": ""}
    assert len(found.user_features.bags.offsets) == 4


def test_the_same_data_is_carried_on_as_it_is() -> None:
    before = described()
    found = carried_on(before, before)
    assert (found.item_ids, found.user_ids) == (list(before.item_ids), list(before.user_ids))
    for name in ("offsets", "items", "times", "context"):
        assert np.array_equal(getattr(found.sequences, name), getattr(before.sequences, name)), name
    for features in ("item_features", "user_features"):
        now, then = getattr(found, features).bags, getattr(before, features).bags
        assert np.array_equal(now.codes, then.codes) and np.array_equal(now.offsets, then.offsets)


@pytest.mark.parametrize("dated", [True, False])
def test_known_dates_stay_with_their_items(dated: bool) -> None:
    known = np.array([False, True, True]) if dated else np.zeros(0, np.bool_)
    new = replace(data("ua ub vc", "cab", "uv"), dated=known)
    found = carried_on(data("ua ub vc", "abc", "uv"), new)
    assert found.dated.tolist() == ([True, True, False] if dated else [])
