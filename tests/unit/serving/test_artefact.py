"""An artefact is byte-stable, checked when opened, and survives any id."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from pipelines.serving.artefact import MANIFEST, Artefact, sha256_of
from pipelines.serving.checking import ArtefactError
from pipelines.serving.ids import read_ids, write_ids
from pipelines.serving.parts import Histories
from tests.support.artefacts import make_artefact


def contents(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(directory.iterdir())}


def test_the_same_arrays_give_the_same_bytes(tmp_path: Path) -> None:
    assert contents(make_artefact(tmp_path / "a")) == contents(make_artefact(tmp_path / "b"))


def test_the_manifest_names_every_file(tmp_path: Path) -> None:
    artefact = make_artefact(tmp_path / "a")
    manifest = json.loads((artefact / MANIFEST).read_text())
    assert sorted([*manifest["files"], "manifest.json"]) == sorted(contents(artefact))
    assert (manifest["items"], manifest["users"], manifest["dimension"]) == (40, 10, 8)


@pytest.mark.parametrize("name", ["item_matrix.npy", "encoder.onnx", "user_ids.bin"])
def test_a_changed_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    artefact = make_artefact(tmp_path / "a")
    raw = bytearray((artefact / name).read_bytes())
    raw[-1] ^= 1
    (artefact / name).write_bytes(raw)
    with pytest.raises(ArtefactError, match=name):
        Artefact.open(artefact)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    artefact = make_artefact(tmp_path / "a")
    (artefact / "repeat.npy").unlink()
    with pytest.raises(ArtefactError, match=r"repeat\.npy"):
        Artefact.open(artefact)


def test_another_format_is_refused(tmp_path: Path) -> None:
    artefact = make_artefact(tmp_path / "a")
    manifest = json.loads((artefact / MANIFEST).read_text())
    (artefact / MANIFEST).write_text(json.dumps(manifest | {"format": 99}))
    with pytest.raises(ArtefactError, match="format 99"):
        Artefact.open(artefact)


def test_a_folder_without_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"manifest\.json"):
        Artefact.open(tmp_path)


def test_a_written_artefact_is_never_overwritten(tmp_path: Path) -> None:
    make_artefact(tmp_path / "a")
    with pytest.raises(FileExistsError):
        make_artefact(tmp_path / "a")


def test_an_artefact_without_users_opens(tmp_path: Path) -> None:
    artefact = Artefact.open(make_artefact(tmp_path / "a", users=0))
    assert len(artefact.users) == 0
    assert artefact.users.code("u0") is None


def test_the_matrix_is_mapped_not_loaded(tmp_path: Path) -> None:
    matrix = Artefact.open(make_artefact(tmp_path / "a")).answers.item_matrix
    assert isinstance(matrix.base, np.memmap)
    assert type(matrix) is np.ndarray  # every index into an np.memmap runs Python code


def rewritten(directory: Path, name: str, change: Callable[[np.ndarray], np.ndarray]) -> Path:
    """An artefact with one array changed by whoever wrote it: its checksum is right."""
    manifest = json.loads((directory / MANIFEST).read_text())
    np.save(directory / f"{name}.npy", change(np.load(directory / f"{name}.npy")))
    manifest["files"][f"{name}.npy"] = sha256_of(directory / f"{name}.npy")
    (directory / MANIFEST).write_text(json.dumps(manifest))
    return directory


@pytest.mark.parametrize(
    ("kind", "name", "change", "says"),
    [
        ("encoder", "popularity", lambda a: a[1:], "popularity.npy has 39 rows for 40 items"),
        ("encoder", "item_matrix", lambda a: a[1:], "item_matrix.npy has 39 rows for 40 items"),
        ("encoder", "item_matrix", lambda a: a[:, 1:], "encoder.onnx"),
        ("encoder", "repeat", lambda a: a[1:], "repeat.npy has 19 rows for 20 events of a history"),
        ("encoder", "history_items", lambda a: a + 30, "history_items.npy holds .., which is none of 40 items"),
        ("encoder", "history_offsets", lambda a: a[1:], "history_offsets.npy has 9 rows for 10 users"),
        ("encoder", "history_offsets", lambda a: a[::-1], "history_offsets.npy does not rise from 0 to 120"),
        ("encoder", "side_matrix", lambda a: a[1:], "side_matrix.npy has 7 rows for 8 values of users and context"),
        ("encoder", "side_matrix", lambda a: a[:, 1:], "side_matrix.npy has 7 columns, item_matrix.npy 8"),
        ("encoder", "feature_matrix", lambda a: a[1:], "feature_matrix.npy has 2 rows for 3 values of items"),
        (
            "encoder",
            "user_feature_codes",
            lambda a: a + 4,
            "user_feature_codes.npy holds .*, which is none of 5 values",
        ),
        ("encoder", "user_feature_offsets", lambda a: a[1:], "user_feature_offsets.npy has 9 rows for 10 users"),
        ("encoder", "item_feature_weights", lambda a: a[1:], "item_feature_weights.npy has 59 rows for 60 values"),
        ("neighbours", "neighbours", lambda a: a + 1, "neighbours.npy holds 40, which is none of 40 items"),
        ("neighbours", "neighbours", lambda a: a - 1, "neighbours.npy holds -2, which is none of 40 items"),
        ("neighbours", "neighbours", lambda a: a[1:], "neighbours.npy has 39 rows for 40 items"),
        ("neighbours", "similarities", lambda a: a[:, 1:], r"similarities.npy is \(40, 5\), neighbours.npy \(40, 6\)"),
        ("popular", "created", lambda a: a[1:], "created.npy has 39 rows for 40 items"),
    ],
)
def test_parts_that_do_not_fit_are_refused_by_name(
    tmp_path: Path, kind: Any, name: str, change: Any, says: str
) -> None:
    directory = make_artefact(tmp_path / "a", kind=kind, side=kind == "encoder")
    Artefact.open(directory)
    with pytest.raises(ArtefactError, match=says):
        Artefact.open(rewritten(directory, name, change))


@pytest.mark.parametrize("kind", ["encoder", "neighbours", "popular"])
def test_an_unknown_kind_is_refused_and_the_known_ones_come_back(tmp_path: Path, kind: Any) -> None:
    directory = make_artefact(tmp_path / "a", kind=kind)
    assert Artefact.open(directory).manifest["kind"] == kind
    manifest = json.loads((directory / MANIFEST).read_text())
    (directory / MANIFEST).write_text(json.dumps(manifest | {"kind": "oracle"}))
    with pytest.raises(ArtefactError, match="kind 'oracle', which this code does not know"):
        Artefact.open(directory)


def test_a_side_comes_back(tmp_path: Path) -> None:
    side = Artefact.open(make_artefact(tmp_path / "a", side=True)).side
    assert side is not None
    assert [column.name for column in side.users.columns] == ["GENDER", "AGE"]
    assert side.matrix.shape == (8, 8) and side.user_bags.rows == 10 and side.item_bags.rows == 40
    assert side.items.name(2) == ("GENRES", "war") and side.context.size == 3
    assert Artefact.open(make_artefact(tmp_path / "b")).side is None


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("encoder", {"item_matrix", "side_matrix", "user_feature_codes", "popularity", "created", "history_items"}),
        ("neighbours", {"neighbours", "popularity"}),
        ("popular", {"popularity"}),
    ],
)
def test_what_the_first_request_needs_is_in_memory_when_it_is_open(tmp_path: Path, kind: Any, names: set[str]) -> None:
    artefact = Artefact.open(
        make_artefact(tmp_path / "a", kind=kind, side=True, items=5000, users=20_000, dimension=64)
    )
    mapped = {Path(part.path).name: part for part in psutil.Process().memory_maps(grouped=False)}
    for name in names:
        assert mapped[f"{name}.npy"].rss == mapped[f"{name}.npy"].size, name
    assert len(artefact.items) == 5000


def test_ids_of_every_kind_come_back(tmp_path: Path) -> None:
    ids = ["", "a", "ü-Ωμ", "商品 1", "🎬", "x" * 256, "a\u0000b", "-1", "1.0"] + [f"id{n}" for n in range(5000)]
    write_ids(tmp_path, "item", ids)
    table = read_ids(tmp_path, "item")
    assert [table.code(identifier) for identifier in ids] == list(range(len(ids)))
    assert [table.id(code) for code in range(len(ids))] == ids
    assert table.code("missing") is None
    assert table.code("\ud800") is None


def test_ids_with_equal_hashes_are_told_apart(tmp_path: Path) -> None:
    # A known pair with one crc32.
    ids = ["plumless", "buckeroo"]
    write_ids(tmp_path, "item", ids)
    table = read_ids(tmp_path, "item")
    assert table._hashes[0] == table._hashes[1]
    assert [table.code(identifier) for identifier in ids] == [0, 1]


def test_histories_keep_the_newest_events_of_each_user() -> None:
    histories = Histories(np.array([0, 3, 3, 5]), np.arange(5, dtype=np.int32), np.arange(5) * 10)
    newest = histories.newest(2)
    assert list(newest.offsets) == [0, 2, 2, 4]
    assert list(newest.items) == [1, 2, 3, 4]
    assert list(newest.times) == [10, 20, 30, 40]
