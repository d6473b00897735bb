"""What filters read comes from all that was imported and streamed, also from what a solution does not train on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.datasets.schema import read_schema
from pipelines.recipes import preparing
from pipelines.recipes.preparing import EventFilter, Wanted
from pipelines.recipes.training_data import TrainingData, read_prepared, write_prepared
from pipelines.recipes.updating import carried_on
from pipelines.serving.columns import FilterData, Numbers, Texts
from tests.unit.recipes.test_preparing import enough, inputs, rows

ITEMS = {
    "ITEM_ID": ["i1", "i2", "new"],
    "GENRES": ["a|b", None, "b"],
    "PRICE": pa.array([4.3, None, 1.0], pa.float32()),
    "YEAR": pa.array([None, 2**60, 3], pa.int64()),
    "ON_SALE": [True, False, None],
    "BLURB": ["text", "text", "text"],
}
FIELDS = [
    {"name": "ITEM_ID", "type": "string"},
    {"name": "GENRES", "type": ["null", "string"], "categorical": True},
    {"name": "PRICE", "type": ["null", "float"]},
    {"name": "YEAR", "type": ["null", "long"]},
    {"name": "ON_SALE", "type": ["null", "boolean"]},
    {"name": "BLURB", "type": "string", "textual": True},
]
LATE = [("late", "i1", 9, "buy", 0.0)]
"""A user who does nothing that trains."""


def prepared(events: list[Any] = LATE, streamed: Any = (), wanted: Wanted | None = None) -> TrainingData:
    made = inputs(rows([*enough(), *events], streamed))
    schema = read_schema({"type": "record", "name": "Items", "fields": FIELDS}, "ITEMS")
    users = pa.table({"USER_ID": ["u1", "never"], "TIER": ["gold", "none"]})
    of_users = read_schema(
        {"fields": [{"name": "USER_ID", "type": "string"}, {"name": "TIER", "type": "string"}]}, "USERS"
    )
    schemas = {**made.schemas, "ITEMS": schema, "USERS": of_users}
    found = replace(made, items=pa.table(ITEMS), users=users, schemas=schemas)
    return preparing.prepare(
        found, wanted or Wanted(EventFilter("watch"), metadata=True, columns={"ITEMS": ["ITEM_ID"]})
    )


def filter_data(data: TrainingData) -> FilterData:
    assert data.filter_data is not None
    return data.filter_data


def touched(data: TrainingData, user: str) -> list[tuple[str, str]]:
    found = filter_data(data).touched
    at = data.user_ids.index(user)
    part = slice(found.offsets[at], found.offsets[at + 1])
    return [(found.types[t], data.item_ids[i]) for t, i in zip(found.codes[part], found.items[part], strict=True)]


def test_columns_are_those_of_the_dataset_whatever_trains() -> None:
    data = prepared()
    items = filter_data(data).items
    at = {item: data.item_ids.index(item) for item in ("i1", "i2", "i3", "new")}
    assert list(items.by_name) == ["GENRES", "PRICE", "YEAR", "ON_SALE"]
    assert {item: bool(items.described[row]) for item, row in at.items()} == {
        "i1": True,
        "i2": True,
        "i3": False,
        "new": True,
    }
    genres, price, year, on_sale = items.by_name.values()
    assert isinstance(genres, Texts)
    assert [genres.cell(at[item]) for item in at] == [["a", "b"], [], [], ["b"]]
    cells = [[column.cell(at[item]) for item in at] for column in (price, year, on_sale) if isinstance(column, Numbers)]
    assert cells == [[float(np.float32(4.3)), None, None, 1.0], [None, 2**60, None, 3], [True, False, None, None]]


def test_users_are_known_of_whom_only_the_users_dataset_or_another_event_speaks() -> None:
    data = prepared(wanted=Wanted(EventFilter("watch")))
    assert list(data.user_ids[-2:]) == ["late", "never"]
    tier = filter_data(data).users.by_name["TIER"]
    assert isinstance(tier, Texts)
    assert [tier.cell(data.user_ids.index(user)) for user in ("u1", "late", "never")] == [["gold"], [], ["none"]]
    assert np.diff(data.sequences.offsets)[-2:].tolist() == [0, 0]
    assert data.catalogue_size == 31


def test_events_of_every_type_are_kept_the_newest_last() -> None:
    more = [
        ("u1", "i5", 5, "Buy", 0.0),
        ("u1", "i4", 3, "buy", 0.0),
        ("u1", "i9", 4, None, 0.0),
        ("u1", "odd", 4, "buy", 0.0),
    ]
    data = prepared([*LATE, *more], [("u1", "i6", 1, "BUY", 0.0)])
    assert filter_data(data).touched.types == ("", "buy", "watch")
    found = touched(data, "u1")
    assert [event for event in found if event[0] != "watch"] == [
        ("", "i9"),
        ("buy", "i6"),
        ("buy", "i4"),
        ("buy", "i5"),
    ]
    assert len(found) == 4 + 20
    assert touched(data, "late") == [("buy", "i1")]
    assert len(data.sequences.items) == len(enough()), "what trains is what it was"


def test_of_each_type_the_newest_hundred_are_kept() -> None:
    many = [("u1", f"i{n % 3}", 100_000 + n, "buy", 0.0) for n in range(150)]
    found = touched(prepared([("u1", "i9", 99_999, "buy", 0.0), *many]), "u1")
    assert [item for kind, item in found if kind == "buy"] == [f"i{n % 3}" for n in range(50, 150)]
    assert sum(kind == "watch" for kind, _ in found) == 20


def test_what_trains_does_not_depend_on_what_else_there_is() -> None:
    with_late = prepared().sequences
    without = prepared([]).sequences
    assert with_late.items.tolist() == without.items.tolist()
    assert with_late.times.tolist() == without.times.tolist()


def test_interactions_without_types_count_as_touched() -> None:
    made = rows(enough()).drop_columns(["EVENT_TYPE"])
    data = preparing.prepare(inputs(made), Wanted())
    assert filter_data(data).touched.types == ("",)
    assert len(touched(data, "u1")) == 20


def test_it_survives_the_way_through_files(tmp_path: Path) -> None:
    data = prepared()
    write_prepared(data, tmp_path / "prepared")
    found = filter_data(read_prepared(tmp_path / "prepared"))
    assert touched(read_prepared(tmp_path / "prepared"), "late") == touched(data, "late")
    for name, column in found.items.by_name.items():
        wanted = filter_data(data).items.by_name[name]
        assert [column.cell(row) for row in range(column.rows)] == [wanted.cell(row) for row in range(wanted.rows)]


@pytest.mark.parametrize("gone", ["i1", "i3"])
def test_an_update_has_newer_columns_and_what_users_touched_before(gone: str) -> None:
    """Newer events are read for every request anyway."""
    old = prepared()
    kept = [event for event in [*enough(60), *LATE] if event[1] != gone]
    newer = inputs(rows([*kept, ("u1", "i2", 10**6, "buy", 0.0)]))
    items = pa.table({"ITEM_ID": ["i2", "i40"], "GENRES": ["z", "y"]})
    schema = read_schema({"fields": FIELDS[:2]}, "ITEMS")
    new = preparing.prepare(
        replace(newer, items=items, schemas={**newer.schemas, "ITEMS": schema}),
        Wanted(EventFilter("watch"), metadata=True),
    )
    found = carried_on(old, new)
    genres = filter_data(found).items.by_name["GENRES"]
    assert isinstance(genres, Texts)
    assert [genres.cell(found.item_ids.index(item)) for item in ("i2", "i40", "i5")] == [["z"], ["y"], []]
    assert touched(found, "u1") == [event for event in touched(old, "u1") if event[1] != gone]
    assert touched(found, "late") == ([] if gone == "i1" else [("buy", "i1")])
