"""Wishes become DAG runs; runs that end without a result become failures that say what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select

from pipelines.platform.airflow_client import AirflowRefused, AirflowUnavailable
from pipelines.platform.runs import GRACE, settle_runs, start_runs
from pipelines.platform.upkeep import discard_work
from pipelines.registry import store, wishes
from pipelines.registry.store import Resource
from pipelines.registry.tables import outbox
from pipelines.settings import Settings
from tests.support.registry import add, add_group, add_solution, add_version

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOW + GRACE + timedelta(seconds=1)


class Runs:
    """An Airflow that knows runs and their states."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}
        self.confs: dict[str, dict[str, Any]] = {}
        self.error: Exception | None = None

    def trigger(self, dag_id: str, run_id: str, conf: dict[str, Any]) -> None:
        if self.error:
            raise self.error
        self.states.setdefault(run_id, "queued")
        self.confs[run_id] = conf

    def state(self, dag_id: str, run_id: str) -> str | None:
        if self.error:
            raise self.error
        return self.states.get(run_id)


@pytest.fixture
def airflow() -> Runs:
    return Runs()


def wish(conn: Connection, suffix: str = "00000001") -> tuple[Resource, str]:
    with conn.begin():
        solution = store.get(conn, arn="arn:aws:personalize:us-east-1:123456789012:solution/taste")
        solution = solution or add_solution(conn, add_group(conn))
        version = add_version(conn, solution, suffix, status=store.CREATE_PENDING)
        return version, wishes.wish(conn, version, "solution_version")


def look(conn: Connection, id: str) -> Resource:
    with conn.begin():
        found = store.get(conn, id=id)
    assert found is not None
    return found


def set_status(conn: Connection, id: str, status: str) -> None:
    with conn.begin():
        store.update(conn, id, status=status)


def open_wishes(conn: Connection) -> int:
    with conn.begin():
        return len(conn.execute(select(outbox.c.id).where(outbox.c.settled_at.is_(None))).all())


def test_a_wish_becomes_a_run_once(conn: Connection, airflow: Runs) -> None:
    version, run_id = wish(conn)
    assert start_runs(conn, airflow, NOW).changed == 1
    assert start_runs(conn, airflow, NOW).changed == 0
    assert airflow.confs == {
        run_id: {"resource_id": version.id, "resource_arn": version.arn, "request_id": "request-1"}
    }
    assert run_id == f"taste.00000001.{version.id}"


def test_while_airflow_is_down_wishes_wait_and_none_is_lost(conn: Connection, airflow: Runs) -> None:
    wish(conn)
    wish(conn, "00000002")
    airflow.error = AirflowUnavailable("Airflow gives no answer")
    assert start_runs(conn, airflow, NOW).problem == "Airflow gives no answer"
    airflow.error = None
    assert start_runs(conn, airflow, NOW).changed == 2


def test_what_airflow_refuses_for_good_fails_with_its_words_and_blocks_no_other(
    conn: Connection, airflow: Runs
) -> None:
    version, _ = wish(conn)
    airflow.error = AirflowRefused("Airflow refuses to start solution_version: bad conf")
    start_runs(conn, airflow, NOW)
    airflow.error = None
    other, run_id = wish(conn, "00000002")
    assert start_runs(conn, airflow, NOW).changed == 1
    assert look(conn, version.id).status == store.CREATE_FAILED
    assert "bad conf" in (look(conn, version.id).failure_reason or "")
    assert list(airflow.confs) == [run_id]
    assert look(conn, other.id).status == store.CREATE_PENDING


def test_a_resource_that_was_deleted_before_it_began_starts_nothing(conn: Connection, airflow: Runs) -> None:
    version, _ = wish(conn)
    set_status(conn, version.id, store.DELETE_PENDING)
    assert start_runs(conn, airflow, NOW).changed == 0
    assert airflow.confs == {} and open_wishes(conn) == 0


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_living_run_is_left_alone(conn: Connection, airflow: Runs, state: str) -> None:
    version, run_id = wish(conn)
    start_runs(conn, airflow, NOW)
    set_status(conn, version.id, store.CREATE_IN_PROGRESS)
    airflow.states[run_id] = state
    settle_runs(conn, airflow, LATER)
    assert look(conn, version.id).status == store.CREATE_IN_PROGRESS
    assert open_wishes(conn) == 1


@pytest.mark.parametrize(
    ("state", "words"), [("failed", "died before"), ("success", "without a result"), (None, "was deleted")]
)
def test_a_run_that_ended_without_a_result_fails_the_resource(
    conn: Connection, airflow: Runs, state: str | None, words: str
) -> None:
    version, run_id = wish(conn)
    start_runs(conn, airflow, NOW)
    set_status(conn, version.id, store.CREATE_IN_PROGRESS)
    airflow.states = {} if state is None else {run_id: state}
    settle_runs(conn, airflow, LATER)
    failed = look(conn, version.id)
    assert failed.status == store.CREATE_FAILED
    assert words in (failed.failure_reason or "")
    assert run_id in (failed.failure_reason or "")
    assert "create a new solution version" in (failed.failure_reason or "")
    assert open_wishes(conn) == 0


def test_a_run_that_is_not_visible_yet_gets_a_moment(conn: Connection, airflow: Runs) -> None:
    version, _ = wish(conn)
    start_runs(conn, airflow, NOW)
    set_status(conn, version.id, store.CREATE_IN_PROGRESS)
    airflow.states = {}
    settle_runs(conn, airflow, NOW + timedelta(seconds=1))
    assert look(conn, version.id).status == store.CREATE_IN_PROGRESS


def test_a_run_that_airflow_lost_before_it_did_anything_is_started_again(conn: Connection, airflow: Runs) -> None:
    version, run_id = wish(conn)
    start_runs(conn, airflow, NOW)
    airflow.states = {}
    settle_runs(conn, airflow, LATER)
    assert start_runs(conn, airflow, LATER).changed == 1
    assert airflow.states == {run_id: "queued"}
    assert look(conn, version.id).status == store.CREATE_PENDING


def test_without_airflow_nothing_is_judged(conn: Connection, airflow: Runs) -> None:
    version, _ = wish(conn)
    start_runs(conn, airflow, NOW)
    set_status(conn, version.id, store.CREATE_IN_PROGRESS)
    airflow.error = AirflowUnavailable("Airflow gives no answer")
    assert settle_runs(conn, airflow, LATER).problem == "Airflow gives no answer"
    assert look(conn, version.id).status == store.CREATE_IN_PROGRESS


def test_the_reason_that_the_run_itself_gave_stays(conn: Connection, airflow: Runs) -> None:
    version, run_id = wish(conn)
    start_runs(conn, airflow, NOW)
    with conn.begin():
        store.update(conn, version.id, status=store.CREATE_FAILED, failure_reason="too few users")
    airflow.states[run_id] = "failed"
    settle_runs(conn, airflow, LATER)
    assert look(conn, version.id).failure_reason == "too few users"
    assert open_wishes(conn) == 0


def test_an_active_resource_is_settled_whatever_its_run_says(conn: Connection, airflow: Runs) -> None:
    version, run_id = wish(conn)
    start_runs(conn, airflow, NOW)
    set_status(conn, version.id, store.ACTIVE)
    airflow.states[run_id] = "failed"
    settle_runs(conn, airflow, LATER)
    assert look(conn, version.id).status == store.ACTIVE
    assert open_wishes(conn) == 0


@pytest.fixture
def deletion(conn: Connection) -> Resource:
    """A data deletion job whose run was wished for."""
    with conn.begin():
        job = add(conn, "DataDeletionJob", "forget", status=store.PENDING, group=add_group(conn))
        wishes.wish(conn, job, "data_deletion")
    return job


def test_a_deletion_whose_run_died_is_called_failed_and_its_list_of_users_goes(
    conn: Connection, airflow: Runs, deletion: Resource, settings: Settings
) -> None:
    start_runs(conn, airflow, NOW)
    set_status(conn, deletion.id, store.IN_PROGRESS)
    work = settings.deletions_dir / deletion.id / "work"
    work.mkdir(parents=True)
    discard_work(conn, settings)
    assert work.exists()
    airflow.states = dict.fromkeys(airflow.states, "failed")
    settle_runs(conn, airflow, LATER)
    failed = look(conn, deletion.id)
    assert failed.status == store.FAILED
    assert "What it has deleted stays deleted. To go on, create a new data deletion job" in (
        failed.failure_reason or ""
    )
    discard_work(conn, settings)
    assert not work.exists() and work.parent.exists()


def test_what_a_killed_export_had_at_hand_goes_when_the_job_has_ended(conn: Connection, settings: Settings) -> None:
    with conn.begin():
        job = add(conn, "DatasetExportJob", "out", status=store.CREATE_IN_PROGRESS, group=add_group(conn))
    work = settings.exports_dir / job.id
    work.mkdir(parents=True)
    discard_work(conn, settings)
    assert work.exists()
    set_status(conn, job.id, store.CREATE_FAILED)
    discard_work(conn, settings)
    assert not work.exists()


def test_a_deletion_that_airflow_has_lost_before_it_began_is_started_again(
    conn: Connection, airflow: Runs, deletion: Resource
) -> None:
    start_runs(conn, airflow, NOW)
    airflow.states = {}
    settle_runs(conn, airflow, LATER)
    assert start_runs(conn, airflow, LATER).changed == 1
    assert look(conn, deletion.id).status == store.PENDING


def test_a_run_whose_version_is_stopped_is_waited_for_no_more(conn: Connection, airflow: Runs) -> None:
    version, run_id = wish(conn)
    waiting, unstarted = wish(conn, "00000002")
    start_runs(conn, airflow, NOW)
    with conn.begin():
        conn.execute(outbox.update().where(outbox.c.run_id == unstarted).values(started_at=None))
        store.update(conn, version.id, status=store.CREATE_STOPPING)
        store.update(conn, waiting.id, status=store.CREATE_STOPPED)
    airflow.states = {run_id: "failed"}
    assert (settle_runs(conn, airflow, LATER).changed, start_runs(conn, airflow, LATER).changed) == (1, 0)
    assert airflow.states == {run_id: "failed"}
    assert (look(conn, version.id).status, look(conn, waiting.id).status) == ("CREATE STOPPING", "CREATE STOPPED")
    with conn.begin():
        assert conn.execute(select(outbox).where(outbox.c.settled_at.is_(None))).all() == []
