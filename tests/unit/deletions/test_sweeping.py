"""Rounds: rows that go and rows that stay, who is waited for, and an import that comes in between."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from pipelines import deletions
from pipelines.deletions import DeletionRefused, rows, snapshots, sweeping
from pipelines.deletions.job import find
from pipelines.registry import store
from pipelines.registry.tables import action_events, events, resources
from pipelines.settings import Settings
from tests.support.registry import add, add_dataset, add_group, add_solution, add_version
from tests.unit.deletions.conftest import Place


def begun(place: Place, *users: str) -> str:
    job = place.job(*users)
    deletions.read(place.settings, job.id)
    return job.id


def test_anonymous_events_go_with_the_user_whom_their_session_names(place: Place) -> None:
    for number, (user, session) in enumerate(
        [("anna", "s1"), (None, "s1"), (None, "s2"), ("ben", "s1"), ("ben", "s3"), (None, "anna")]
    ):
        place.event(number, user, session)
    with place.conn.begin():
        found = rows.delete(place.conn, place.group.id, ["anna"])
        left = place.conn.execute(select(events.c.user_id, events.c.session_id).order_by(events.c.id)).all()
    # A session that is called like the user is the user's: the runtime would answer it so.
    assert found["events"] == 3
    assert list(map(tuple, left)) == [(None, "s2"), ("ben", "s1"), ("ben", "s3")]


def test_action_interactions_go_too(place: Place) -> None:
    with place.conn.begin():
        dataset = add_dataset(place.conn, place.group, "ACTION_INTERACTIONS")
        values: dict[str, Any] = {
            "dataset_id": dataset.id, "event_type": "TAKEN", "action_id": "a", "sent_at": 1.0, "session_id": "s1",
        }  # fmt: skip
        for number, user in enumerate(("anna", None, "ben")):
            key = {"user_id": user, "user_key": user or "s1", "event_id": f"e{number}"}
            place.conn.execute(insert(action_events).values(**values, **key))
        assert rows.delete(place.conn, place.group.id, ["anna"])["action interactions"] == 2
        assert list(place.conn.execute(select(action_events.c.user_id)).scalars()) == ["ben"]


def test_another_group_keeps_its_rows_of_the_same_user(place: Place) -> None:
    with place.conn.begin():
        other = add_group(place.conn, "other")
    Place(place.settings, place.conn, other).event(1, "anna", "s1")
    with place.conn.begin():
        assert rows.delete(place.conn, place.group.id, ["anna"])["events"] == 0


def test_what_had_begun_is_waited_for_and_what_it_made_is_swept_once_it_has_ended(place: Place) -> None:
    with place.conn.begin():
        dataset = add_dataset(place.conn, place.group)
        solution = add_solution(place.conn, place.group)
        frozen = add_version(place.conn, solution, "00000001", store.CREATE_IN_PROGRESS, snapshots={})
        add_version(place.conn, solution, "00000002", store.CREATE_PENDING)
        running = add(
            place.conn, "DatasetImportJob", "j", status=store.CREATE_IN_PROGRESS, group=place.group, parent=dataset
        )
    job_id = begun(place, "anna")
    place.event(1, "anna", "s1")
    assert not deletions.sweep(place.settings, job_id)
    assert set(place.look(job_id).internal[sweeping.WAITING_FOR]) == {frozen.id, running.id}
    with place.conn.begin():
        assert not place.conn.execute(select(events)).all()
        store.update(place.conn, running.id, status=store.ACTIVE)
    assert not deletions.sweep(place.settings, job_id)
    with place.conn.begin():
        store.update(place.conn, frozen.id, status=store.CREATE_FAILED)
    assert deletions.sweep(place.settings, job_id)


def test_what_has_not_ended_for_a_day_fails_the_job_by_name(place: Place) -> None:
    with place.conn.begin():
        dataset = add_dataset(place.conn, place.group)
        add(place.conn, "DatasetImportJob", "j", status=store.CREATE_PENDING, group=place.group, parent=dataset)
    job_id = begun(place, "anna")
    assert not deletions.sweep(place.settings, job_id)
    with place.conn.begin():
        older = resources.c.created_at - timedelta(days=1)
        place.conn.execute(update(resources).where(resources.c.id == job_id).values(created_at=older))
    with pytest.raises(DeletionRefused, match=r"dataset-import-job/j .CREATE PENDING.*create a new data deletion job"):
        deletions.sweep(place.settings, job_id)
    assert place.look(job_id).status == store.FAILED


@pytest.mark.soak
def test_an_import_that_commits_in_between_is_swept_too(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with place.conn.begin():
        dataset = add_dataset(place.conn, place.group)
    lines = [f"{user},i1,watch,{1_600_000_000 + n}" for user in ("anna", "ben") for n in range(3)]
    place.snapshot(dataset, tmp_path / "first", lines)
    job_id = begun(place, "anna")
    take_over = snapshots._take_over

    def after_an_import(*given: Any) -> None:
        monkeypatch.undo()
        place.snapshot(dataset, tmp_path / "second", [*lines, "anna,i2,watch,1600000009"])
        take_over(*given)

    monkeypatch.setattr(snapshots, "_take_over", after_an_import)
    assert deletions.sweep(place.settings, job_id)
    now = place.look(dataset.id).internal["snapshot"]
    assert (now["tag"], now["rows"]) == (f"data/{dataset.id}/{job_id}.1", 3)
    assert place.look(job_id).internal["removed"]["rows of INTERACTIONS"] == 4


def test_a_group_into_which_nothing_was_imported_is_deleted_from_too(place: Place) -> None:
    place.event(1, "anna", "s1")
    made = place.job("anna")
    for step in (deletions.read, deletions.sweep, deletions.clean, deletions.finish):
        step(place.settings, made.id)
    done = place.look(made.id)
    assert (done.status, done.doc["numDeleted"], done.failure_reason) == (store.COMPLETED, 1, None)


@pytest.mark.parametrize("step", [deletions.clean, deletions.finish])
def test_two_jobs_of_a_group_follow_one_another(place: Place, step: Callable[[Settings, str], None]) -> None:
    made = place.job("anna")
    deletions.read(place.settings, made.id)
    other = find(place.settings, made.id)
    assert other is not None
    second = threading.Thread(target=step, args=(place.settings, made.id))
    with other.alone():
        second.start()
        second.join(0.3)
        assert second.is_alive()
    second.join(60)
    assert not second.is_alive()
