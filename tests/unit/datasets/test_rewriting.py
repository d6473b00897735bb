"""Rewriting a snapshot: the same rows in one part, nobody's rows and ids who must go, and precedence as it was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pipelines.datasets.rewriting import Rewritten, rewrite
from pipelines.datasets.schema import DatasetType
from pipelines.datasets.snapshot import Snapshot
from tests.support.imports import NULLABLE_STRING, Imported, avro, contents, decoded, interactions, run, text

ACTIONS = avro("Actions", ACTION_ID="string", VALUE=["null", "int"])
ACTION_INTERACTIONS = avro(
    "ActionInteractions", USER_ID="string", ACTION_ID="string", TIMESTAMP="long", EVENT_TYPE="string"
)
ITEM_HEADER = "ITEM_ID,GENRES,PRICE,DESCRIPTION,CREATION_TIMESTAMP"
USER_HEADER = "USER_ID,GENDER,ADULT"


def rewritten(folder: Path, snapshot: Snapshot, without: Sequence[str] = (), name: str = "new") -> Rewritten:
    return rewrite(snapshot, folder / name, name="it", spill=folder / f"{name} spill", without_users=without)


def imports(folder: Path, kind: DatasetType, *files: bytes, after: Sequence[int] = ()) -> Imported:
    """One import a file, the first FULL and the others INCREMENTAL; `after` of each, 0 unless given."""
    done: Imported | None = None
    schema = {"ACTIONS": ACTIONS, "ACTION_INTERACTIONS": ACTION_INTERACTIONS}.get(kind)
    for number, content in enumerate(files):
        done = run(
            folder,
            kind,
            content,
            name=f"import{number}",
            previous=done.snapshot if done else None,
            incremental=number > 0,
            schema=schema,
            after=after[number] if after else 0,
        )
    assert done is not None
    return done


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        ("INTERACTIONS", [text(interactions(900, 0)), text(interactions(900, 600)), text(["a,i1,5,watch,"])]),
        ("ITEMS", [text(["b,x,1,,", "c,y,2,,"], ITEM_HEADER), text(["a,z,3,long,9", "b,w,4,,"], ITEM_HEADER)]),
        ("USERS", [text(["u2,m,true", "u1,,"], USER_HEADER), text(["u0,f,false", "u2,f,"], USER_HEADER)]),
        ("ACTIONS", [text(["b,1", "c,2"], "ACTION_ID,VALUE"), text(["a,3", "b,"], "ACTION_ID,VALUE")]),
        (
            "ACTION_INTERACTIONS",
            [text([f"u{n},a{n % 3},{n},taken" for n in range(s, s + 9)], "USER_ID,ACTION_ID,TIMESTAMP,EVENT_TYPE")
             for s in (5, 0)],
        ),
    ],
)  # fmt: skip
def test_many_parts_become_one_with_the_same_rows(tmp_path: Path, kind: DatasetType, files: list[bytes]) -> None:
    old = imports(tmp_path, kind, *files).snapshot
    done = rewritten(tmp_path, old)
    key = old.schema.id_columns[0]
    assert len(done.snapshot.manifest.parts) == 1
    assert sorted(decoded(done.snapshot), key=repr) == sorted(decoded(old), key=repr)
    assert done.snapshot.rows == done.snapshot.table().num_rows == old.table().num_rows
    assert done.removed == 0
    assert [row[key] for row in decoded(done.snapshot)] == sorted(row[key] for row in decoded(old)), (
        "ids stand in byte order"
    )


def test_the_same_snapshot_gives_the_same_bytes(tmp_path: Path) -> None:
    old = imports(tmp_path, "INTERACTIONS", text(interactions(100_000)), text(interactions(9000, 95_000))).snapshot
    first = contents(rewritten(tmp_path, old, ["u7"], "one").snapshot)
    assert contents(rewritten(tmp_path, old, ["u7"], "two").snapshot) == first


def test_what_is_written_is_whole_and_leaves_no_scratch(tmp_path: Path) -> None:
    old = imports(tmp_path, "INTERACTIONS", text(interactions(2000)), text(["a,i1,5,watch,"])).snapshot
    before = contents(old)
    rewritten(tmp_path, old).snapshot.verify()
    assert contents(old) == before
    assert not (tmp_path / "new spill").exists()


@pytest.mark.parametrize("kind", ["INTERACTIONS", "USERS"])
def test_removed_users_are_neither_in_rows_nor_in_dictionaries(tmp_path: Path, kind: DatasetType) -> None:
    files = {
        "INTERACTIONS": [text(["u1,only-u1,1,w,", "u2,i,2,w,"]), text(["u1,i,3,w,", "u3,i,4,w,"])],
        "USERS": [text(["u1,m,", "u2,f,"], USER_HEADER), text(["u1,f,", "u3,f,"], USER_HEADER)],
    }[kind]
    done = rewritten(tmp_path, imports(tmp_path, kind, *files).snapshot, ["u1", "nobody"])
    assert {row["USER_ID"] for row in decoded(done.snapshot)} == {"u2", "u3"}
    assert done.snapshot.ids("USER_ID").to_pylist() == ["u2", "u3"]
    assert done.removed == 2, "the rows of both parts count"
    if kind == "INTERACTIONS":
        assert done.snapshot.ids("ITEM_ID").to_pylist() == ["i"], "an item that only they knew goes too"


def test_ids_without_rows_leave_the_dictionary(tmp_path: Path) -> None:
    first = run(tmp_path, "ITEMS", text(["z,x,1,,", "b,x,1,,"], ITEM_HEADER), name="first").snapshot
    second = run(tmp_path, "ITEMS", text(["a,x,2,,"], ITEM_HEADER), name="second", previous=first).snapshot
    assert second.ids("ITEM_ID").to_pylist() == ["b", "z", "a"]
    assert rewritten(tmp_path, second).snapshot.ids("ITEM_ID").to_pylist() == ["a"]


def test_no_items_are_removed_because_of_users(tmp_path: Path) -> None:
    old = imports(tmp_path, "ITEMS", text(["u1,x,1,,"], ITEM_HEADER)).snapshot
    assert rewritten(tmp_path, old, ["u1"]).snapshot.ids("ITEM_ID").to_pylist() == ["u1"]


def test_without_any_row_left_there_is_no_part_and_an_import_can_follow(tmp_path: Path) -> None:
    empty = rewritten(tmp_path, imports(tmp_path, "USERS", text(["u1,m,"], USER_HEADER)).snapshot, ["u1"]).snapshot
    assert (empty.manifest.parts, empty.rows, empty.table().num_rows) == ((), 0, 0)
    nothing = rewritten(tmp_path, empty, name="again").snapshot
    done = run(tmp_path, "USERS", text(["u2,m,"], USER_HEADER), name="next", previous=nothing, incremental=True)
    assert [row["USER_ID"] for row in done.rows()] == ["u2"]


def test_an_import_can_be_appended_to_what_was_rewritten(tmp_path: Path) -> None:
    old = imports(tmp_path, "INTERACTIONS", text(["b,i,1,w,"]), text(["c,j,2,w,"])).snapshot
    compact = rewritten(tmp_path, old).snapshot
    done = run(tmp_path, "INTERACTIONS", text(["a,k,3,w,"]), name="next", previous=compact, incremental=True)
    assert [(row["USER_ID"], row["ITEM_ID"]) for row in done.rows()] == [("b", "i"), ("c", "j"), ("a", "k")]


def test_parts_between_which_records_were_streamed_stay_apart(tmp_path: Path) -> None:
    files = [text([f"{item},x,{n},,"], ITEM_HEADER) for n, item in enumerate("abcab")]
    done = rewritten(tmp_path, imports(tmp_path, "ITEMS", *files, after=[0, 0, 4, 4, 9]).snapshot)
    assert [(part.after, part.rows) for part in done.snapshot.manifest.parts] == [(4, 2), (9, 1)]
    assert {row["ITEM_ID"]: row["PRICE"] for row in decoded(done.snapshot)} == {"a": 3, "b": 4, "c": 2}
    assert done.snapshot.rows == 3


def test_events_have_no_precedence_so_their_parts_join_whatever_was_streamed(tmp_path: Path) -> None:
    files = [text([f"u,i,{n},w,"]) for n in range(1, 4)]
    done = rewritten(tmp_path, imports(tmp_path, "INTERACTIONS", *files, after=[0, 4, 9]).snapshot)
    assert [part.rows for part in done.snapshot.manifest.parts] == [3]


def test_parts_from_before_a_field_was_added_give_nulls_for_it(tmp_path: Path) -> None:
    first = run(
        tmp_path,
        "ITEMS",
        text(["a,1"], "ITEM_ID,N"),
        name="first",
        schema=avro("Items", ITEM_ID="string", N=["null", "int"]),
    ).snapshot
    wide = avro("Items", ITEM_ID="string", N=["null", "int"], TITLE=NULLABLE_STRING)
    second = run(
        tmp_path,
        "ITEMS",
        text(["b,2,B"], "ITEM_ID,N,TITLE"),
        name="second",
        schema=wide,
        previous=first,
        incremental=True,
        after=3,
    ).snapshot
    done = rewritten(tmp_path, second).snapshot
    assert decoded(done) == [{"ITEM_ID": "a", "N": 1, "TITLE": None}, {"ITEM_ID": "b", "N": 2, "TITLE": "B"}]
    assert len(done.manifest.parts) == 2


@pytest.mark.parametrize("field", ["part number", "code", "old", "id", "k", "d0", "select"])
def test_a_field_may_be_called_what_the_rewriting_itself_might(tmp_path: Path, field: str) -> None:
    schema = avro("Users", USER_ID="string", **{field.replace(" ", "_"): NULLABLE_STRING})
    done = run(tmp_path, "USERS", text(["u,1"], f"USER_ID,{field.replace(' ', '_')}"), schema=schema)
    assert decoded(rewritten(tmp_path, done.snapshot).snapshot) == done.rows()


def test_rows_that_do_not_fit_into_memory_are_spilled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = imports(tmp_path, "INTERACTIONS", text(interactions(100_000)), text(interactions(9000, 95_000))).snapshot
    monkeypatch.setattr("pipelines.datasets.reading.MEMORY_LIMIT", "32MB")
    assert rewritten(tmp_path, old).snapshot.rows == 104_000
