"""Whom to delete: read strictly, told by file and line, quoted nowhere."""

from __future__ import annotations

import gzip
import stat
from pathlib import Path

import pytest

from pipelines import deletions
from pipelines.deletions import DeletionRefused, reading
from pipelines.deletions.job import Job, find
from pipelines.registry import store
from tests.unit.deletions.conftest import Place


@pytest.fixture
def folder(place: Place) -> Path:
    path = place.settings.home.parent / "given"
    path.mkdir()
    return path


def job_of(place: Place, location: str) -> Job:
    made = place.job()
    with place.conn.begin():
        store.update(place.conn, made.id, doc={"dataSource": {"dataLocation": location}})
    job = find(place.settings, made.id)
    assert job is not None
    return job


def test_every_file_below_the_folder_counts_plain_or_gzip_with_any_case_of_the_header(
    place: Place, folder: Path
) -> None:
    (folder / "a.csv").write_text("USER_ID\nanna\nben\n")
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "b.csv").write_text('\ufeffuser_id\r\n"say ""hi"", you"\r\n\r\nanna\r\n')
    (folder / "deep" / "c.csv.gz").write_bytes(gzip.compress("User_Id\nzoë".encode()))
    job = job_of(place, folder.as_uri() + "/")
    assert reading.read(job) == 4
    assert sorted(job.users()) == ["anna", "ben", 'say "hi", you', "zoë"]


def test_the_list_is_private_and_its_sources_are_not_copied_into_it(place: Place, folder: Path) -> None:
    (folder / "a.csv").write_text("USER_ID\nanna\n")
    job = job_of(place, folder.as_uri())
    reading.read(job)
    assert stat.S_IMODE(job.users_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(job.work.stat().st_mode) == 0o700
    assert [path.name for path in job.work.iterdir()] == ["users.json"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "line 1: the header must be the single column USER_ID"),
        (b"USER_ID,AGE\nsecret,7\n", "line 1: the header must be the single column USER_ID"),
        (b"secret\nother\n", "line 1: the header must be the single column USER_ID"),
        (b"USER_ID\n", "holds a user id below its header"),
        (b"USER_ID\nfine\nsecret,7\n", "line 3: 2 values instead of one"),
        (b'USER_ID\nfine\n""\n', "line 3: the user id is empty"),
        (b"USER_ID\n" + b"s" * 257 + b"\n", "line 2: the user id has 257 characters, more than 256"),
        (b"USER_ID\nfine\n\xff\xfesecret\n", "is not UTF-8"),
        (b'USER_ID\nfine\n"secret\n', "can't be read as CSV"),
    ],
)
def test_what_is_not_such_a_list_is_refused_by_line_and_not_quoted(
    place: Place, folder: Path, content: bytes, told: str
) -> None:
    (folder / "a.csv").write_bytes(content)
    job = job_of(place, folder.as_uri())
    with pytest.raises(DeletionRefused, match="Nothing was deleted") as refusal:
        deletions.read(place.settings, job.id)
    assert told in str(refusal.value) and "secret" not in str(refusal.value)
    ended = place.look(job.id)
    assert (ended.status, ended.failure_reason) == (store.FAILED, str(refusal.value))
    assert not job.work.exists()


def test_more_than_100_mb_together_is_refused(place: Place, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_BYTES", 20)
    for name in ("a.csv", "b.csv"):
        (folder / name).write_text("USER_ID\nanna\n")
    with pytest.raises(DeletionRefused, match="26 bytes together, more than 20"):
        reading.read(job_of(place, folder.as_uri()))


def test_a_place_with_nothing_in_it_is_refused(place: Place, folder: Path) -> None:
    with pytest.raises(DeletionRefused, match=r"holds no file.*create a new data deletion job"):
        reading.read(job_of(place, folder.as_uri()))


def test_a_job_that_has_ended_is_not_begun_again(place: Place) -> None:
    made = place.job("anna")
    deletions.fail(place.settings, made.id, "why")
    deletions.read(place.settings, made.id)
    deletions.fail(place.settings, made.id, "another reason")
    assert (place.look(made.id).status, place.look(made.id).failure_reason) == (store.FAILED, "why")
