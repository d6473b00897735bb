"""Snapshots: the same bytes for the same rows, codes that never change, the newest row of an item."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pipelines.datasets.schema import DatasetType
from pipelines.datasets.snapshot import MANIFEST, Snapshot, SnapshotError, write_empty
from tests.support.imports import NULLABLE_STRING, avro, contents, interactions, run, text

ITEM_HEADER = "ITEM_ID,GENRES,PRICE,DESCRIPTION,CREATION_TIMESTAMP"


def test_the_same_rows_in_any_order_give_the_same_bytes(tmp_path: Path) -> None:
    rows = interactions(300_000)
    shuffled = rows[:]
    random.Random(1).shuffle(shuffled)
    first = contents(run(tmp_path / "a", "INTERACTIONS", text(rows)).snapshot)
    assert contents(run(tmp_path / "b", "INTERACTIONS", text(rows)).snapshot) == first
    assert contents(run(tmp_path / "c", "INTERACTIONS", text(shuffled[:1000]), text(shuffled[1000:])).snapshot) == first


def test_rows_come_in_one_total_order(tmp_path: Path) -> None:
    table = run(tmp_path, "INTERACTIONS", text(interactions(3000))).snapshot.table()
    rows = [tuple(row.values()) for row in table.select(["USER_ID", "TIMESTAMP", "ITEM_ID"]).to_pylist()]
    assert rows == sorted(rows)


def test_equal_interactions_count_once(tmp_path: Path) -> None:
    rows = interactions(1500)
    done = run(
        tmp_path,
        "INTERACTIONS",
        text([*rows, *rows[:20], rows[0], "u1,i1,1600000000,watch,", "u1,i1,1600000000,watch,"]),
    )
    assert (done.row["rows"], done.row["duplicates"], done.snapshot.rows) == (1501, 22, 1501)
    assert len({tuple(row.values()) for row in done.rows()}) == 1501


def test_codes_of_earlier_snapshots_keep_their_meaning(tmp_path: Path) -> None:
    old = run(tmp_path, "INTERACTIONS", text(["m,i5,1,w,", "z,i9,2,w,"]), name="one").snapshot
    new = run(tmp_path, "INTERACTIONS", text(["a,i9,3,w,", "z,i0,4,w,"]), name="two", previous=old)
    assert old.ids("USER_ID").to_pylist() == ["m", "z"]
    assert new.snapshot.ids("USER_ID").to_pylist() == ["m", "z", "a"]
    assert new.snapshot.ids("ITEM_ID").to_pylist() == ["i5", "i9", "i0"]
    assert [row["USER_ID"] for row in new.rows()] == ["z", "a"], "a full import replaces the rows, ordered by code"


def test_an_import_without_new_ids_adds_no_segment(tmp_path: Path) -> None:
    old = run(tmp_path, "INTERACTIONS", text(["m,i,1,w,"]), name="one").snapshot
    new = run(tmp_path, "INTERACTIONS", text(["m,i,2,w,"]), name="two", previous=old).snapshot
    assert new.manifest.dictionaries == old.manifest.dictionaries


def test_an_incremental_import_of_interactions_adds_a_part_and_touches_no_other(tmp_path: Path) -> None:
    old = run(tmp_path, "INTERACTIONS", text(["b,i,1,w,", "c,i,2,w,"]), name="one").snapshot
    before = contents(old)
    new = run(tmp_path, "INTERACTIONS", text(["a,j,3,w,", "c,i,2,w,"]), name="two", previous=old, incremental=True)
    assert [part.path for part in new.snapshot.manifest.parts] == ["parts/one.parquet", "parts/two.parquet"]
    assert contents(old) == before
    assert [(row["USER_ID"], row["ITEM_ID"]) for row in new.rows()] == [("b", "i"), ("c", "i"), ("a", "j")]
    assert new.snapshot.table(["TIMESTAMP"]).to_pydict() == {"TIMESTAMP": [1, 2, 3]}


def test_of_an_item_the_newest_row_counts_within_a_file_and_over_parts(tmp_path: Path) -> None:
    first = run(tmp_path, "ITEMS", text(["a,x,1,,", "b,x,1,,", "a,x,2,,"], ITEM_HEADER), name="one")
    assert {row["ITEM_ID"]: row["PRICE"] for row in first.rows()} == {"a": 2, "b": 1}
    assert first.row["duplicates"] == 1
    second = run(
        tmp_path,
        "ITEMS",
        text(["c,x,3,,", "b,y,4,,"], ITEM_HEADER),
        name="two",
        previous=first.snapshot,
        incremental=True,
    )
    assert {row["ITEM_ID"]: (row["PRICE"], row["GENRES"]) for row in second.rows()} == {
        "a": (2, "x"),
        "b": (4, "y"),
        "c": (3, "x"),
    }
    assert second.snapshot.rows == 3


def test_a_field_that_came_with_an_incremental_import_is_null_in_the_rows_before(tmp_path: Path) -> None:
    kinds: list[tuple[DatasetType, str]] = [("ITEMS", "ITEM_ID"), ("INTERACTIONS", "USER_ID,ITEM_ID,TIMESTAMP")]
    for kind, ids in kinds:
        required = {name: "long" if name == "TIMESTAMP" else "string" for name in ids.split(",")}
        more = {"A": NULLABLE_STRING, "N": ["null", "double"]}
        values = [",".join("1" * len(required)), ",".join("2" * len(required))]
        old = run(
            tmp_path,
            kind,
            text([f"{v},x" for v in values], f"{ids},Z"),
            schema=avro("R", **required, Z="string"),
            name=f"{kind}1",
        ).snapshot
        new = run(
            tmp_path, kind, text([f"{values[1]},y,a,2.5"], f"{ids},Z,A,N"), name=f"{kind}2", previous=old, incremental=True,
            schema=avro("R", **required, Z="string", **more),
        )  # fmt: skip
        cells = [(row["Z"], row["A"], row["N"]) for row in new.rows()]
        assert cells == [("x", None, None), *([("x", None, None)] * (kind != "ITEMS")), ("y", "a", 2.5)], kind
        assert new.snapshot.table(["N", "A"]).column_names == ["N", "A"]


def test_an_incremental_import_links_the_parts_before_and_reads_none_of_an_event_log(tmp_path: Path) -> None:
    old = run(tmp_path, "INTERACTIONS", text(interactions(1500)), name="one").snapshot
    part = old.directory / old.manifest.parts[0].path
    inode = part.stat().st_ino
    # What is not read can't be found to be no Parquet.
    part.write_bytes(b"not Parquet at all")
    new = run(
        tmp_path, "INTERACTIONS", text(interactions(1000, 1500)), name="two", previous=old, incremental=True
    ).snapshot
    carried, added = new.manifest.parts
    assert (new.directory / carried.path).stat().st_ino == inode
    assert (carried.rows, added.rows, new.rows) == (1500, 1000, 2500)
    assert [len(segments) for segments in new.manifest.dictionaries.values()] == [1, 1], "no new ids, no new segments"


def test_of_two_files_the_later_one_holds_the_newer_item(tmp_path: Path) -> None:
    done = run(tmp_path, "ITEMS", text(["a,x,1,,", "a,x,9,,"], ITEM_HEADER), text(["a,x,5,,"], ITEM_HEADER))
    assert [row["PRICE"] for row in done.rows()] == [5]


@pytest.mark.parametrize("kind", ["INTERACTIONS", "ITEMS", "USERS"])
def test_an_empty_snapshot_has_the_required_columns_and_no_rows(tmp_path: Path, kind: str) -> None:
    write_empty(tmp_path / "snapshot", kind)  # type: ignore[arg-type]
    snapshot = Snapshot.open(tmp_path / "snapshot")
    assert (snapshot.rows, snapshot.table().num_rows) == (0, 0)
    assert set(snapshot.schema.id_columns) <= set(snapshot.table().column_names)
    assert all(len(snapshot.ids(column)) == 0 for column in snapshot.schema.id_columns)


def test_a_damaged_snapshot_is_not_taken(tmp_path: Path) -> None:
    snapshot = run(tmp_path, "INTERACTIONS", text(interactions(10))).snapshot
    snapshot.verify()
    part = snapshot.directory / snapshot.manifest.parts[0].path
    part.write_bytes(part.read_bytes() + b"x")
    with pytest.raises(SnapshotError, match="was changed"):
        snapshot.verify()
    part.unlink()
    with pytest.raises(SnapshotError, match="is missing"):
        Snapshot.open(snapshot.directory)
    (snapshot.directory / MANIFEST).unlink()
    with pytest.raises(SnapshotError, match="holds no snapshot"):
        Snapshot.open(snapshot.directory)


def test_a_snapshot_of_another_format_is_refused(tmp_path: Path) -> None:
    write_empty(tmp_path, "ITEMS")
    manifest = tmp_path / MANIFEST
    manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(SnapshotError, match="format 2"):
        Snapshot.open(tmp_path)


# What the importer's own SQL calls things, or would if a schema could not.
TAKEN = ("PART", "b0", "LOW", "WIDTH", "n", "rowid", "row_number", "raw_0", "staged", "filename", "select")


@pytest.mark.parametrize("field", TAKEN)
def test_a_field_may_be_called_what_the_importer_itself_might(tmp_path: Path, field: str) -> None:
    schema = avro("Interactions", USER_ID="string", ITEM_ID="string", TIMESTAMP="long", **{field: NULLABLE_STRING})
    header = f"USER_ID,ITEM_ID,TIMESTAMP,{field}"
    done = run(tmp_path, "INTERACTIONS", text(["u,i,1,x", "u,i,1,x", "u,i,1,y", "u,i,2,"], header), schema=schema)
    assert [row[field] for row in done.rows()] == ["x", "y", None]


@pytest.mark.parametrize("field", TAKEN)
def test_items_of_two_parts_merge_whatever_their_field_is_called(tmp_path: Path, field: str) -> None:
    schema = avro("Items", ITEM_ID="string", **{field: NULLABLE_STRING})
    header = f"ITEM_ID,{field}"
    first = run(tmp_path, "ITEMS", text(["a,1", "b,2"], header), schema=schema, name="first")
    second = run(
        tmp_path,
        "ITEMS",
        text(["b,3"], header),
        schema=schema,
        name="second",
        previous=first.snapshot,
        incremental=True,
    )
    assert {row["ITEM_ID"]: row[field] for row in second.rows()} == {"a": "1", "b": "3"}
