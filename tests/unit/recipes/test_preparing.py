"""Interactions become training data; too little data fails with AWS's words."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.datasets import impressions
from pipelines.datasets.schema import ARRIVAL, DatasetType, Schema, read_schema, smallest_schema
from pipelines.datasets.snapshot import write_empty
from pipelines.datasets.streamed import write
from pipelines.datasets.streamed import write_empty as write_no_rows
from pipelines.recipes import preparing
from pipelines.recipes.inputs import Inputs, read_inputs
from pipelines.recipes.preparing import EventFilter, NotEnoughData, Wanted
from pipelines.recipes.training_data import TrainingData, read_prepared, write_prepared

ALL = EventFilter()
TYPES: tuple[DatasetType, ...] = ("INTERACTIONS", "ITEMS", "USERS")
SCHEMAS = {kind: smallest_schema(kind) for kind in TYPES}


def prepare(interactions: pa.Table, items: set[str], wanted: EventFilter) -> TrainingData:
    """From interactions and the ids of the Items dataset, as a recipe without metadata wants them."""
    return preparing.prepare(inputs(interactions, items), Wanted(wanted))


def inputs(interactions: pa.Table, items: Collection[str] = ()) -> Inputs:
    described = pa.table({"ITEM_ID": pa.array(sorted(items), pa.string())})
    nobody = pa.table({"USER_ID": pa.array([], pa.string())})
    return Inputs(interactions, described, nobody, SCHEMAS, impressions.read(Path("absent")))


def rows(imported: list[Any], streamed: Sequence[Any] = ()) -> pa.Table:
    """Interactions as `read_inputs` gives them, from (user, item, time, type, value)."""
    events = [*imported, *streamed]
    columns: list[Any] = list(zip(*events, strict=True)) or [[], [], [], [], []]
    return pa.table(
        {
            "USER_ID": pa.array(columns[0], pa.string()).dictionary_encode(),
            "ITEM_ID": pa.array(columns[1], pa.string()).dictionary_encode(),
            "TIMESTAMP": pa.array(columns[2], pa.int64()),
            "EVENT_TYPE": pa.array(columns[3], pa.string()),
            "EVENT_VALUE": pa.array(columns[4], pa.float32()),
            ARRIVAL: pa.array([*[0] * len(imported), *range(1, len(streamed) + 1)], pa.int64()),
        }
    )


def enough(users: int = 50, each: int = 20, event_type: str | None = "watch") -> list[Any]:
    return [
        (f"u{u}", f"i{(u + n) % 30}", 1000 + n, event_type, float(n % 5)) for u in range(users) for n in range(each)
    ]


def names(data: TrainingData, user: str) -> list[str]:
    return [data.item_ids[code] for code in data.sequences.items_of(list(data.user_ids).index(user))]


def test_a_streamed_event_joins_the_imported_history() -> None:
    data = prepare(rows(enough(), [("u3", "brand-new", 5000, "click", None)]), set(), ALL)
    assert names(data, "u3")[-1] == "brand-new"
    assert data.item_ids[-1] == "brand-new"


def test_streamed_events_alone_can_be_trained_on() -> None:
    assert len(prepare(rows([], enough()), set(), ALL).sequences.items) == 1000


def test_999_unique_interactions_are_too_few() -> None:
    events = enough()[:999]
    with pytest.raises(NotEnoughData, match=r"^Dataset has fewer than 1000 interactions$"):
        prepare(rows(events), set(), ALL)


def test_the_minimum_counts_what_the_event_type_leaves() -> None:
    events = enough()[:999] + enough(event_type="click")
    with pytest.raises(
        NotEnoughData, match=r"^Dataset has fewer than 1000 interactions after filtering by event type: watch$"
    ):
        prepare(rows(events), set(), EventFilter("watch"))


def test_24_users_with_two_interactions_are_too_few() -> None:
    events = [*enough(24, 50), *[(f"single{n}", "i1", 5, "watch", 1.0) for n in range(40)]]
    with pytest.raises(NotEnoughData) as error:
        prepare(rows(events), set(), ALL)
    assert str(error.value) == "Create failed. Dataset has fewer than 25 users with at least 2 interactions each."


@pytest.mark.parametrize(("visitors", "trained"), [(2475, True), (2476, False)])
def test_one_user_in_a_hundred_must_come_back(visitors: int, trained: bool) -> None:
    events = [*enough(25, 40), *[(f"single{n}", "i1", 5, "watch", 1.0) for n in range(visitors)]]
    with nullcontext() if trained else pytest.raises(NotEnoughData, match="25 of the 2501 users"):
        prepare(rows(events), set(), ALL)


def test_the_event_type_filters_imported_and_streamed_rows() -> None:
    clicks = [(f"u{n}", "clicked", 9000, "click", None) for n in range(50)]
    data = prepare(rows([*enough(), *clicks], [("u1", "streamed", 9001, "click", None)]), set(), EventFilter("watch"))
    assert {"clicked", "streamed"}.isdisjoint(data.item_ids)


def test_values_under_the_threshold_and_missing_ones_are_left_out() -> None:
    events = [*enough(60, 50), *[(f"u{n}", "unrated", 7, "watch", None) for n in range(50)]]
    data = prepare(rows(events), set(), EventFilter(value_threshold=3.0))
    assert len(data.sequences.items) == 60 * 20
    assert "unrated" not in data.item_ids


def typed(count: int, **columns: list[Any]) -> pa.Table:
    """Interactions of `count` event types, with EVENT_TYPE, EVENT_VALUE and `columns`."""
    events = [(user, item, at, f"type{n % count}", value) for n, (user, item, at, _, value) in enumerate(enough())]
    table = rows(events)
    for name, cells in columns.items():
        table = table.append_column(name, [pa.array(cells * table.num_rows)])
    return table


def test_event_types_and_optional_columns_are_ten_together() -> None:
    prepare(typed(8), set(), ALL)
    # Impressions are no metadata.
    prepare(typed(7, DEVICE=["phone"], IMPRESSION=["i1|i2"]), set(), ALL)
    for table, said in (
        (typed(9), r"9 distinct event types and 2 optional columns \(EVENT_TYPE, EVENT_VALUE\)"),
        (
            typed(8, DEVICE=["phone"]),
            r"8 distinct event types and 3 optional columns \(EVENT_TYPE, EVENT_VALUE, DEVICE\)",
        ),
    ):
        with pytest.raises(NotEnoughData, match=said):
            prepare(table, set(), ALL)


def test_excluded_columns_do_not_count() -> None:
    table = typed(8, DEVICE=["phone"])
    columns = {"INTERACTIONS": [name for name in table.column_names if name != "DEVICE"]}
    preparing.prepare(inputs(table), Wanted(columns=columns))


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (EventFilter("watch"), "eventType needs the column EVENT_TYPE"),
        (EventFilter(value_threshold=1.0), "eventValueThreshold needs the column EVENT_VALUE"),
    ],
)
def test_what_chooses_rows_needs_its_column(wanted: EventFilter, said: str) -> None:
    plain = rows(enough()).drop_columns(["EVENT_TYPE", "EVENT_VALUE"])
    with pytest.raises(NotEnoughData, match=said):
        prepare(plain, set(), wanted)


def test_an_excluded_column_changes_nothing() -> None:
    fields = [{"name": name, "type": "string", "categorical": True} for name in ("DEVICE", "GENRES")]
    fields += [{"name": "IMPRESSION", "type": "string"}, {"name": "CREATION_TIMESTAMP", "type": "long"}]

    def described(kind: DatasetType, *more: Any) -> Schema:
        avro = smallest_schema(kind).avro
        return read_schema({**avro, "fields": [*avro["fields"], *more]}, kind)

    def prepared(genre: str, device: str, columns: dict[str, list[str]]) -> TrainingData:
        items = pa.table({"ITEM_ID": [f"i{n}" for n in range(30)], "GENRES": [genre] * 30})
        items = items.append_column("CREATION_TIMESTAMP", pa.array([len(genre)] * 30, pa.int64()))
        events = (
            rows(enough()).append_column("DEVICE", [[device] * 1000]).append_column("IMPRESSION", [["i1|i2"] * 1000])
        )
        schemas = {
            **SCHEMAS,
            "INTERACTIONS": described("INTERACTIONS", fields[0], fields[2]),
            "ITEMS": described("ITEMS", fields[1], fields[3]),
        }
        return preparing.prepare(
            replace(inputs(events), items=items, schemas=schemas), Wanted(metadata=True, context=True, columns=columns)
        )

    kept = {"INTERACTIONS": ["USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE", "EVENT_VALUE"], "ITEMS": ["ITEM_ID"]}
    without = prepared("Drama|Action", "phone", kept)
    assert (without.item_features.vocabulary.size, without.context.size, without.shown.sum()) == (0, 0, 0)
    other = prepared("Comedy", "tablet", kept)
    for name in ("created", "shown"):
        assert np.array_equal(getattr(without, name), getattr(other, name))
    all_used = prepared("Drama|Action", "phone", {})
    assert (all_used.item_features.vocabulary.size, all_used.context.size) == (2, 1)
    assert all_used.shown.sum() > 0 and (all_used.created == 12).all()


def test_the_catalogue_counts_items_of_both_datasets_once() -> None:
    assert prepare(rows(enough()), {"i1", "i2", "only-in-items"}, ALL).catalogue_size == 31


def test_the_frozen_inputs_are_read_as_one(tmp_path: Path) -> None:
    for kind in ("INTERACTIONS", "ITEMS", "USERS"):
        write_empty(tmp_path / kind.lower(), kind)  # type: ignore[arg-type]
    put, smallest = tmp_path / "streamed", smallest_schema("INTERACTIONS").avro
    avro = {**smallest, "fields": [*smallest["fields"], {"name": "EVENT_TYPE", "type": "string"}]}
    events = rows([], [("u", "i", 1, "watch", None), ("u", "i", 1, "watch", None)])
    plain = events.set_column(0, "USER_ID", events["USER_ID"].cast(pa.string()))
    plain = plain.set_column(1, "ITEM_ID", events["ITEM_ID"].cast(pa.string())).drop_columns("EVENT_VALUE")
    write(iter([plain]), put / "interactions.parquet", read_schema(avro, "INTERACTIONS"))
    items = pa.table({"ITEM_ID": ["put", "put"], ARRIVAL: pa.array([1, 2], pa.int64())})
    write(iter([items]), put / "items.parquet", smallest_schema("ITEMS"))
    write_no_rows(smallest_schema("USERS"), put / "users.parquet")
    found = read_inputs(tmp_path)
    assert found.interactions.to_pylist() == [
        {"USER_ID": "u", "ITEM_ID": "i", "TIMESTAMP": 1, "EVENT_TYPE": "watch", ARRIVAL: 1}
    ]
    assert found.items["ITEM_ID"].to_pylist() == ["put"]
    assert found.schemas["INTERACTIONS"].names == ("USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE")


def test_rows_without_event_type_train_when_no_type_is_asked_for() -> None:
    assert len(prepare(rows(enough(event_type=None)), set(), ALL).sequences.items) == 1000


def test_prepared_data_comes_back_and_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    data = prepare(rows(enough(), [("ü", "商品", 1, None, None)]), set(), ALL)
    write_prepared(data, tmp_path / "a")
    write_prepared(data, tmp_path / "b")
    again = read_prepared(tmp_path / "a")
    assert (again.item_ids, again.user_ids, again.catalogue_size) == (data.item_ids, data.user_ids, data.catalogue_size)
    assert again.sequences.items.tolist() == data.sequences.items.tolist()
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
