"""Imported and streamed rows become training data by one rule; too little data fails with AWS's words."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.recipes.preparing import (
    EventFilter,
    NotEnoughData,
    Rows,
    TrainingData,
    prepare,
    read_prepared,
    write_prepared,
)

ALL = EventFilter()


def rows(events: list[tuple[str, str, int, str | None, float | None]]) -> Rows:
    """Rows from (user, item, time, type, value)."""
    columns: list[Any] = list(zip(*events, strict=True)) or [[], [], [], [], []]
    users, items = pa.array(columns[0], pa.string()), pa.array(columns[1], pa.string())
    encoded = [array.dictionary_encode() for array in (users, items, pa.array(columns[3], pa.string()))]
    codes = [array.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64) for array in encoded]
    values = np.array([np.nan if value is None else value for value in columns[4]], float)
    times = np.array(columns[2], np.int64)
    return Rows(
        codes[0], codes[1], times, codes[2], values, encoded[0].dictionary, encoded[1].dictionary,
        encoded[2].dictionary.to_pylist(),
    )  # fmt: skip


def enough(users: int = 50, each: int = 20, event_type: str | None = "watch") -> list[Any]:
    return [
        (f"u{u}", f"i{(u + n) % 30}", 1000 + n, event_type, float(n % 5)) for u in range(users) for n in range(each)
    ]


def names(data: TrainingData, user: str) -> list[str]:
    return [data.item_ids[code] for code in data.sequences.items_of(list(data.user_ids).index(user))]


def test_a_streamed_event_joins_the_imported_history() -> None:
    data = prepare(rows(enough()), rows([("u3", "brand-new", 5000, "click", None)]), set(), ALL)
    assert names(data, "u3")[-1] == "brand-new"
    assert data.item_ids[-1] == "brand-new"


def test_streamed_events_alone_can_be_trained_on() -> None:
    assert len(prepare(rows([]), rows(enough()), set(), ALL).sequences.items) == 1000


def test_a_streamed_event_that_was_imported_too_counts_once() -> None:
    data = prepare(rows(enough()), rows([enough()[0]]), set(), ALL)
    assert len(data.sequences.items) == 1000


def test_rows_that_differ_in_value_only_are_two() -> None:
    user, item, at, kind, _ = enough()[0]
    data = prepare(rows([*enough(), (user, item, at, kind, 99.0), (user, item, at, kind, None)]), rows([]), set(), ALL)
    assert len(data.sequences.items) == 1002


def test_rows_without_value_are_equal_too() -> None:
    twice = [("u0", "x", 1, "watch", None)] * 2
    assert len(prepare(rows([*enough(), *twice]), rows([]), set(), ALL).sequences.items) == 1001


def test_999_unique_interactions_are_too_few() -> None:
    events = enough()[:999]
    with pytest.raises(NotEnoughData, match=r"^Dataset has fewer than 1000 interactions$"):
        prepare(rows([*events, events[0]]), rows([]), set(), ALL)


def test_the_minimum_counts_what_the_event_type_leaves() -> None:
    events = enough()[:999] + enough(event_type="click")
    with pytest.raises(
        NotEnoughData, match=r"^Dataset has fewer than 1000 interactions after filtering by event type: watch$"
    ):
        prepare(rows(events), rows([]), set(), EventFilter("watch"))


def test_24_users_with_two_interactions_are_too_few() -> None:
    events = [*enough(24, 50), *[(f"single{n}", "i1", 5, "watch", 1.0) for n in range(40)]]
    with pytest.raises(NotEnoughData) as error:
        prepare(rows(events), rows([]), set(), ALL)
    assert str(error.value) == "Create failed. Dataset has fewer than 25 users with at least 2 interactions each."


@pytest.mark.parametrize(("visitors", "trained"), [(2475, True), (2476, False)])
def test_one_user_in_a_hundred_must_come_back(visitors: int, trained: bool) -> None:
    events = [*enough(25, 40), *[(f"single{n}", "i1", 5, "watch", 1.0) for n in range(visitors)]]
    with nullcontext() if trained else pytest.raises(NotEnoughData, match="25 of the 2501 users"):
        prepare(rows(events), rows([]), set(), ALL)


def test_the_event_type_filters_imported_and_streamed_rows() -> None:
    clicks = [(f"u{n}", "clicked", 9000, "click", None) for n in range(50)]
    data = prepare(
        rows([*enough(), *clicks]), rows([("u1", "streamed", 9001, "click", None)]), set(), EventFilter("watch")
    )
    assert {"clicked", "streamed"}.isdisjoint(data.item_ids)


def test_values_under_the_threshold_and_missing_ones_are_left_out() -> None:
    events = [*enough(60, 50), *[(f"u{n}", "unrated", 7, "watch", None) for n in range(50)]]
    data = prepare(rows(events), rows([]), set(), EventFilter(value_threshold=3.0))
    assert len(data.sequences.items) == 60 * 20
    assert "unrated" not in data.item_ids


def test_eleven_event_types_are_too_many() -> None:
    events = [(user, item, at, f"type{n % 11}", value) for n, (user, item, at, _, value) in enumerate(enough())]
    with pytest.raises(NotEnoughData, match="11 distinct event types"):
        prepare(rows(events), rows([]), set(), ALL)


def test_the_catalogue_counts_items_of_both_datasets_once() -> None:
    assert prepare(rows(enough()), rows([]), {"i1", "i2", "only-in-items"}, ALL).catalogue_size == 31


def test_rows_without_event_type_train_when_no_type_is_asked_for() -> None:
    assert len(prepare(rows(enough(event_type=None)), rows([]), set(), ALL).sequences.items) == 1000


def test_prepared_data_comes_back_and_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    data = prepare(rows(enough()), rows([("ü", "商品", 1, None, None)]), set(), ALL)
    write_prepared(data, tmp_path / "a")
    write_prepared(data, tmp_path / "b")
    again = read_prepared(tmp_path / "a")
    assert (again.item_ids, again.user_ids, again.catalogue_size) == (data.item_ids, data.user_ids, data.catalogue_size)
    assert again.sequences.items.tolist() == data.sequences.items.tolist()
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
