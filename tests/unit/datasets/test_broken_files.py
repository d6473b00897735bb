"""A folder with broken files: each defect, alone and with another one, gets the right verdict, file, line and column."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest

from pipelines.datasets import building, rejects, source
from pipelines.datasets.errors import ImportRefused
from pipelines.datasets.schema import read_schema
from pipelines.datasets.snapshot import MANIFEST, Snapshot
from pipelines.settings import Settings
from tests.support.broken import IN_A_ROW, OF_A_FILE, SCHEMA, Draft, draft
from tests.support.imports import run

DEFECTS = {**IN_A_ROW, **OF_A_FILE}
# The library that writes these tests' Parquet can't read such rows, and an old Mac's line ends are those very bytes.
APART = {(one, other) for one in IN_A_ROW for other in OF_A_FILE if other.startswith("Parquet")} | {
    (one, "line ends of an old Mac") for one in ("a carriage return in an id", "another line end")
}
TOGETHER = sorted({*combinations(IN_A_ROW, 2), *product(IN_A_ROW, OF_A_FILE)} - APART)
"""Pairs that one file can have, the one to be made first first."""
BESIDE = sorted(combinations(DEFECTS, 2))
SAMPLE = 25


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """What the dataset holds before."""
    content = draft("before.csv", random.Random(0)).content()
    return run(tmp_path_factory.mktemp("before"), "INTERACTIONS", content, schema=SCHEMA).snapshot


def examine(tmp_path: Path, drafts: list[Draft], previous: Snapshot) -> None:
    """Import the folder and hold the outcome against what the drafts say must come of it."""
    folder = tmp_path / "folder"
    for one in drafts:
        for name, content in {one.name: one.content(), **one.beside}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    settings = replace(Settings.from_env({"OPENPERSONALIZE_HOME": str(tmp_path / "home")}), import_roots=(folder,))
    place = building.Place(tmp_path / "work", tmp_path / "snapshot", tmp_path / "rejects.parquet")
    refusals = [(one.name, words) for one in drafts for words in one.refusals()]
    try:
        files = source.fetch(settings, f"file://{folder}/", tmp_path / "work" / "source")
        schema = read_schema(SCHEMA, "INTERACTIONS")
        profile = building.build(files, schema, place, name="new", title="new", previous=previous, incremental=True)
    except ImportRefused as refused:
        assert any(f"{name} " in str(refused) and words in str(refused) for name, words in refusals), str(refused)
        assert not (place.snapshot / MANIFEST).exists()
    else:
        assert refusals == []
        found = [
            replace(reject, file=str(Path(reject.file).relative_to(folder)))
            for reject in rejects.samples(place.rejects)
        ]
        _check_rows(drafts, profile.row, found)
        assert len(Snapshot.open(place.snapshot).manifest.parts) == 2
    previous.verify()


def _check_rows(drafts: list[Draft], row: Mapping[str, Any], found: list[rejects.Sample]) -> None:
    expected = sorted((reject for one in drafts for reject in one.rejects()), key=lambda reject: reject[:2])
    listed = [(sample.file, sample.line, sample.column, sample.reason) for sample in found]
    assert [reject[:3] for reject in listed] == [reject[:3] for reject in expected]
    assert all(words in reason for (*_, reason), (*_, words) in zip(listed, expected, strict=True)), listed
    rows = [record for one in drafts for record in one.records if record.is_row]
    bad = sum(bool(record.rejected) for record in rows)
    assert (row["records"], row["rejected"]) == (len(rows), bad)
    assert row["rows"] + row["duplicates"] == len(rows) - bad
    assert row["too_long_categories"] == sum("categorical" in words for *_, words in expected)


def drafts(rng: random.Random) -> list[Draft]:
    """A folder of three good files, one of them in a folder of its own."""
    return [draft(name, rng) for name in ("a.csv", "b.csv", "c/d.csv")]


def test_there_are_more_than_forty_different_defects() -> None:
    assert len(DEFECTS) >= 40


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_alone(tmp_path: Path, previous: Snapshot, name: str) -> None:
    rng = random.Random(name)
    folder = drafts(rng)
    DEFECTS[name](rng.choice(folder), rng)
    examine(tmp_path, folder, previous)


def two_files(tmp_path: Path, previous: Snapshot, pair: tuple[str, str]) -> None:
    rng = random.Random(str(pair))
    folder = drafts(rng)
    for name, one in zip(pair, rng.sample(folder, 2), strict=True):
        DEFECTS[name](one, rng)
    examine(tmp_path, folder, previous)


def one_file(tmp_path: Path, previous: Snapshot, pair: tuple[str, str]) -> None:
    rng = random.Random(str(pair))
    folder = drafts(rng)
    one = rng.choice(folder)
    for name in pair:
        DEFECTS[name](one, rng)
    examine(tmp_path, folder, previous)


@pytest.mark.parametrize("pair", random.Random(1).sample(BESIDE, SAMPLE), ids=" and ".join)
def test_two_defects_in_two_files_of_a_folder(tmp_path: Path, previous: Snapshot, pair: tuple[str, str]) -> None:
    two_files(tmp_path, previous, pair)


@pytest.mark.parametrize("pair", random.Random(2).sample(TOGETHER, SAMPLE), ids=" and ".join)
def test_two_defects_in_one_file(tmp_path: Path, previous: Snapshot, pair: tuple[str, str]) -> None:
    one_file(tmp_path, previous, pair)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
def test_a_defect_alone_at_other_places(tmp_path: Path, previous: Snapshot, seed: int) -> None:
    for number, (name, defect) in enumerate(DEFECTS.items()):
        rng = random.Random(f"{name} {seed}")
        folder = drafts(rng)
        defect(rng.choice(folder), rng)
        examine(tmp_path / str(number), folder, previous)


@pytest.mark.soak
def test_every_pair_of_defects(tmp_path: Path, previous: Snapshot) -> None:
    for number, pair in enumerate(BESIDE):
        two_files(tmp_path / f"two-{number}", previous, pair)
    for number, pair in enumerate(TOGETHER):
        one_file(tmp_path / f"one-{number}", previous, pair)
