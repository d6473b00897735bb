"""Imported and streamed rows by one rule, against an evaluator that is slow and plain to see through."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.datasets.joining import joined
from pipelines.datasets.schema import ARRIVAL
from pipelines.datasets.snapshot import Manifest, Part, Snapshot, sha256, write_empty, write_manifest
from tests.support.imports import avro

Row = dict[str, Any]
ITEMS = avro("Items", ITEM_ID="string", PRICE=["null", "float"], COLOUR=["null", "string"])
EVENTS = avro("Interactions", USER_ID="string", ITEM_ID="string", TIMESTAMP="long", DEVICE=["null", "string"])
TYPES = {
    "ITEM_ID": pa.string(), "USER_ID": pa.string(), "TIMESTAMP": pa.int64(), "DEVICE": pa.string(),
    "PRICE": pa.float32(), "COLOUR": pa.string(), ARRIVAL: pa.int64(),
}  # fmt: skip


def table(rows: Sequence[Row], names: Sequence[str]) -> pa.Table:
    return pa.table({name: pa.array([row[name] for row in rows], TYPES[name]) for name in names})


def snapshot(folder: Path, schema: dict[str, Any], *parts: tuple[int, Sequence[Row]]) -> Snapshot:
    """A snapshot of parts (after, rows), with one dictionary segment an id column, as an import lays it out."""
    kind = "ITEMS" if schema is ITEMS or schema["name"] == "Items" else "INTERACTIONS"
    ids = ("ITEM_ID",) if kind == "ITEMS" else ("USER_ID", "ITEM_ID")
    names = [field["name"] for field in schema["fields"]]
    folder.mkdir(parents=True)
    codes: dict[str, dict[str, int]] = {}
    segments = {}
    for column in ids:
        known = sorted({row[column] for _, rows in parts for row in rows})
        codes[column] = {id: code for code, id in enumerate(known)}
        pq.write_table(pa.table({"id": pa.array(known, pa.string())}), folder / column)
        segments[column] = (Part(column, len(known), sha256(folder / column)),) if known else ()
    written = []
    for number, (after, rows) in enumerate(parts):
        found = table(rows, names)
        for column in ids:
            coded = pa.array([codes[column][row[column]] for row in rows], pa.int32())
            found = found.set_column(names.index(column), column, coded)
        pq.write_table(found, folder / f"part{number}")
        written.append(Part(f"part{number}", len(rows), sha256(folder / f"part{number}"), after))
    write_manifest(folder, Manifest(kind, schema, 0, tuple(written), segments))  # type: ignore[arg-type]
    return Snapshot.open(folder)


def put(schema: dict[str, Any], *rows: Row) -> pa.Table:
    """Streamed rows, numbered 1, 2, 3, ... unless they say their number."""
    numbered = [{ARRIVAL: n, **row} for n, row in enumerate(rows, start=1)]
    return table(numbered, [*(field["name"] for field in schema["fields"]), ARRIVAL])


def slow_records(parts: Sequence[tuple[int, Sequence[Row]]], streamed: Sequence[Row]) -> dict[str, Row]:
    """Everything that was said, in the order in which it was said: the last word of each id."""
    said = [((after, 1, number), row) for number, (after, rows) in enumerate(parts) for row in rows]
    said += [((row[ARRIVAL], 0, 0), {k: v for k, v in row.items() if k != ARRIVAL}) for row in streamed]
    newest: dict[str, Row] = {}
    for _, row in sorted(said, key=lambda one: one[0]):
        newest[row["ITEM_ID"]] = row
    return newest


@pytest.mark.parametrize("seed", range(12))
def test_of_each_id_the_newest_record_by_arrival_counts(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)

    def row() -> Row:
        price, colour = rng.choice([None, 1.5, 2.0]), rng.choice([None, "", "red"])
        return {"ITEM_ID": f"i{rng.randrange(6)}", "PRICE": price, "COLOUR": colour}

    afters = sorted(rng.choices(range(12), k=rng.randrange(4)))
    parts = [(after, list({r["ITEM_ID"]: r for r in (row() for _ in range(4))}.values())) for after in afters]
    streamed = [{**row(), ARRIVAL: n} for n in sorted(rng.sample(range(1, 12), rng.randrange(8)))]
    found = joined(snapshot(tmp_path / "s", ITEMS, *parts), put(ITEMS, *streamed)).drop_columns(ARRIVAL).to_pylist()
    expected = slow_records(parts, streamed)
    assert found == [expected[id] for id in sorted(expected)]


@pytest.mark.parametrize("seed", range(12))
def test_of_events_equal_in_every_field_one_counts(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)

    def row() -> Row:
        device = rng.choice([None, "", "tv"])
        return {
            "USER_ID": rng.choice("uvw"),
            "ITEM_ID": rng.choice("ij"),
            "TIMESTAMP": rng.randrange(2),
            "DEVICE": device,
        }

    def distinct(rows: Sequence[Row]) -> list[Row]:
        return list({tuple(row.values()): row for row in rows}.values())

    parts = [(0, distinct([row() for _ in range(8)])) for _ in range(rng.randrange(3))]
    streamed = [row() for _ in range(rng.randrange(12))]
    found = joined(snapshot(tmp_path / "s", EVENTS, *parts), put(EVENTS, *streamed)).to_pylist()
    imported = distinct([one for _, rows in parts for one in rows])
    new = [one for one in distinct(streamed) if one not in imported]
    rows = [{name: cell for name, cell in one.items() if name != ARRIVAL} for one in found]
    assert sorted(map(str, rows[: len(imported)])) == sorted(map(str, imported))
    assert rows[len(imported) :] == new, "streamed rows come last, as they arrived"
    assert [one[ARRIVAL] for one in found] == [0] * len(imported) + [streamed.index(one) + 1 for one in new]


def test_an_import_wins_over_what_was_put_up_to_its_request_and_loses_to_what_was_put_later(tmp_path: Path) -> None:
    imported = [{"ITEM_ID": name, "PRICE": 1.0, "COLOUR": None} for name in ("before", "after")]
    streamed = put(
        ITEMS,
        {"ITEM_ID": "before", "PRICE": 2.0, "COLOUR": "x", ARRIVAL: 7},
        {"ITEM_ID": "after", "PRICE": None, "COLOUR": "x", ARRIVAL: 8},
    )
    found = joined(snapshot(tmp_path / "s", ITEMS, (7, imported)), streamed).to_pylist()
    assert found == [
        {"ITEM_ID": "after", "PRICE": None, "COLOUR": "x", ARRIVAL: 8},
        {"ITEM_ID": "before", "PRICE": 1.0, "COLOUR": None, ARRIVAL: 0},
    ]


def test_rows_from_before_the_schema_got_a_field_are_null_in_it(tmp_path: Path) -> None:
    narrow = avro("Items", ITEM_ID="string", PRICE=["null", "float"])
    old = snapshot(tmp_path / "s", narrow, (0, [{"ITEM_ID": "a", "PRICE": 1.0}]))
    streamed = put(ITEMS, {"ITEM_ID": "b", "PRICE": 2.0, "COLOUR": "red"})
    assert joined(old, streamed, ["ITEM_ID", "COLOUR"]).to_pylist() == [
        {"ITEM_ID": "a", "COLOUR": None},
        {"ITEM_ID": "b", "COLOUR": "red"},
    ]


@pytest.mark.parametrize("schema", [ITEMS, EVENTS])
def test_without_an_import_the_streamed_rows_are_all(tmp_path: Path, schema: dict[str, Any]) -> None:
    write_empty(tmp_path / "s", "ITEMS" if schema is ITEMS else "INTERACTIONS")
    row = {"USER_ID": "u", "ITEM_ID": "i", "TIMESTAMP": 1, "DEVICE": "tv", "PRICE": 1.0, "COLOUR": "red"}
    streamed = put(schema, row)
    assert joined(Snapshot.open(tmp_path / "s"), streamed).to_pylist() == streamed.to_pylist()


def test_ids_of_logs_are_small_numbers_and_the_new_ones_come_last(tmp_path: Path) -> None:
    old = {"USER_ID": "u", "ITEM_ID": "i", "TIMESTAMP": 1, "DEVICE": None}
    found = joined(snapshot(tmp_path / "s", EVENTS, (0, [old])), put(EVENTS, {**old, "USER_ID": "a"}), ["USER_ID"])
    users = found["USER_ID"]
    assert users.type == pa.dictionary(pa.int32(), pa.string())
    assert users.chunk(0).dictionary.to_pylist() == ["u", "a"]


def test_a_field_may_be_called_what_the_queries_themselves_might(tmp_path: Path) -> None:
    named = avro("Interactions", USER_ID="string", ITEM_ID="string", TIMESTAMP="long", d0="string", arrival="string")
    TYPES.update({"d0": pa.string(), "arrival": pa.string()})
    row = {"USER_ID": "u", "ITEM_ID": "i", "TIMESTAMP": 1, "d0": "x", "arrival": "y"}
    found = joined(snapshot(tmp_path / "s", named, (0, [row])), put(named, row, {**row, "d0": "z"}))
    assert found["d0"].to_pylist() == ["x", "z"]
