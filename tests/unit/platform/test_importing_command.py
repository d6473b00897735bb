"""`openpersonalize import` up to the moment at which it would create something, and what it says while it waits."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from sqlalchemy import Connection, select

from pipelines.platform.following import now_at
from pipelines.platform.importing_command import ImportFailed, request, run
from pipelines.registry.tables import resources
from pipelines.settings import Settings
from tests.support.imports import interactions, text
from tests.support.registry import add_dataset, add_group

NOW = datetime(2026, 1, 31, 18, 0, tzinfo=UTC)
GOOD = text(interactions()).replace(b"USER_ID,ITEM_ID", b"userId,movieId")


def wanted(location: Path | str, **given: Any) -> Any:
    fields = {"group": None, "dataset_type": None, "mode": "full", "schema": None, "job": None}
    return request(str(location), NOW, **{**fields, **given})


def tried(settings: Settings, content: bytes, folder: Path, *, said: bool = False, **given: Any) -> tuple[str, str]:
    """What was shown and why it failed; nothing may be left of it."""
    path = folder / "ratings.csv"
    path.write_bytes(content)
    shown = io.StringIO()
    with pytest.raises(ImportFailed) as failed:
        run(settings, Console(file=shown, width=130), wanted(path, **given), NOW, lambda question: said)
    data = settings.home / "data"
    assert not data.exists() or list(data.iterdir()) == []
    return shown.getvalue(), str(failed.value)


@pytest.fixture
def nothing_is_created(conn: Connection) -> Any:
    yield
    with conn.begin():
        assert conn.execute(select(resources.c.arn)).all() == []


@pytest.mark.usefixtures("nothing_is_created")
def test_who_says_no_has_seen_schema_sample_verdict_and_plan(settings: Settings, tmp_path: Path) -> None:
    shown, why = tried(settings, GOOD, tmp_path)
    for line in (
        "INTERACTIONS, one file, 0.0 MB",
        "USER_ID string userId u0, u1, u2",
        "EVENT_VALUE float or null EVENT_VALUE 0, 1, 2",
        " movieId -> ITEM_ID",
        "1,200 rows read, 0 rejected",
        "1. create dataset group ratings",
        "2. create schema ratings-interactions-",
        "3. import",
    ):
        assert line in " ".join(shown.split())
    assert why == "Nothing was created."


@pytest.mark.usefixtures("nothing_is_created")
def test_of_a_bad_verdict_nothing_is_created_even_when_yes_was_said(settings: Settings, tmp_path: Path) -> None:
    shown, why = tried(settings, text(interactions(50)), tmp_path, said=True)
    assert "not good enough" in shown
    assert why.startswith("Nothing was created: ") and "at least 1,000" in why


@pytest.mark.usefixtures("nothing_is_created")
@pytest.mark.parametrize(
    ("content", "given", "why"),
    [
        (b"a,b\n1,2\n", {}, "no column says what a row is about"),
        (b"PK\x03\x04", {}, "is a ZIP or Excel file"),
        (b"user_id,age\n1,2\n", {"dataset_type": "ACTIONS"}, "a table of ACTIONS needs a column ACTION_ID"),
        (GOOD, {"dataset_type": "PLANETS"}, "--type PLANETS: there are INTERACTIONS, ITEMS"),
        (GOOD, {"mode": "SOME"}, "--mode SOME: there are FULL, INCREMENTAL"),
        (GOOD, {"group": "my shop"}, "--group my shop: at most 63 letters"),
        (GOOD, {"job": "../up"}, "--name ../up: at most 63 letters"),
    ],
)
def test_what_cannot_be_imported_is_refused_with_the_reason(settings, tmp_path, content, given, why: str) -> None:
    assert why in tried(settings, content, tmp_path, **given)[1]


@pytest.mark.usefixtures("nothing_is_created")
def test_a_file_that_is_not_there_is_refused(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ImportFailed, match="There is no file or folder"):
        run(settings, Console(file=io.StringIO()), wanted(tmp_path / "none.csv"), NOW, lambda question: True)


def test_the_schema_of_a_dataset_that_is_there_is_law(settings: Settings, conn: Connection, tmp_path: Path) -> None:
    with conn.begin():
        group = add_group(conn, "shop")
        add_dataset(conn, group, snapshot={"tag": "t", "rows": 7})
    shown, _ = tried(settings, GOOD, tmp_path, group="shop")
    assert "column 'EVENT_VALUE' is left out: the schema has no field for it" in shown
    assert "1. import, in place of the 7 rows that are there" in shown


@pytest.mark.parametrize(
    ("location", "group"),
    [("/d/ratings.csv", "ratings"), ("s3://b/My data.csv.gz", "My-data"), ("/d/folder/", "folder"), ("/d/(1)", "1")],
)
def test_a_group_is_named_after_the_file(location: str, group: str) -> None:
    assert (wanted(location).group, wanted(location).job) == (group, f"{group}-20260131-180000")


def test_progress_is_read_from_the_task_that_wrote_last(tmp_path: Path) -> None:
    assert now_at(tmp_path, 10) == ""
    log = tmp_path / "task_id=load" / "attempt=1.log"
    log.parent.mkdir()
    events = ["request id", "rows: 400,000, 100,000/s", "something else: 5"]
    log.write_text("cut line\n" + "".join(json.dumps({"event": event}) + "\n" for event in events))
    assert now_at(tmp_path, 1_000_000) == "load: rows: 400,000, 100,000/s, 6 s left"
