"""What the DAG files share."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from sqlalchemy import Connection

from pipelines.dag_support import (
    LATE,
    about,
    announce,
    failure_callback,
    late,
    log_failure,
    no_retry,
    reason,
    resource_id,
    retraining_run,
)
from pipelines.registry import store, wishes
from pipelines.settings import Settings
from tests.support.registry import add_dataset, add_group, add_solution, add_version


class Final(Exception):
    """Stands for AirflowFailException."""


def test_what_a_retry_cannot_mend_is_raised_as_final_with_its_words() -> None:
    with pytest.raises(Final, match=r"^too few users$"), no_retry(Final, KeyError, ValueError):
        raise ValueError("too few users")
    with pytest.raises(OSError), no_retry(Final, ValueError):
        raise OSError("the disk is gone")


def test_the_request_id_comes_first_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        announce({"request_id": "r-1", "resource_arn": "arn:x"})
        announce(None)
    assert [record.getMessage() for record in caplog.records] == [
        "request id r-1, resource arn:x",
        "request id none, resource none yet",
    ]


def test_a_run_is_about_what_the_api_wished_or_what_it_makes_of_its_form(
    conn: Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.to_env().items():
        monkeypatch.setenv(name, value)
    with conn.begin():
        solution = add_solution(conn, group := add_group(conn))
        add_dataset(conn, group)
    pushed: dict[str, str] = {}
    task = SimpleNamespace(xcom_push=pushed.__setitem__, xcom_pull=lambda task_ids, key: pushed.get(key))

    def first_task(**form: str | None) -> str:
        params = {"resource_id": None, "request_id": None, "solution_arn": None, **form}
        context = {"params": params, "run_id": "manual__1", "ti": task, "dag_run": SimpleNamespace(conf=None)}
        found = about(
            context,
            Final,
            "CreateSolutionVersion",
            ["solution_arn"],
            lambda form: {"solutionArn": form["solution_arn"]},
        )
        assert resource_id("claim")(context) == pushed.get("made", found)
        return found

    assert first_task(resource_id="0123456789abcdef") == "0123456789abcdef"
    with pytest.raises(Final, match=r"^Give solution_arn: a run that is started by hand needs them\.$"):
        first_task()
    with pytest.raises(Final, match="does not exist"):
        first_task(solution_arn=f"{solution.arn}x")
    assert first_task(solution_arn=solution.arn) == first_task(solution_arn=solution.arn) == pushed["made"]


def test_a_failure_reaches_the_resource() -> None:
    told: list[tuple[str, str]] = []

    def fail(settings: Settings, resource_id: str, why: str) -> None:
        told.append((resource_id, why))

    report = failure_callback(fail, lambda context: context["id"])
    task = SimpleNamespace(task_id="reproduce")
    report({"id": "a", "exception": Final("too few users"), "ti": task, "run_id": "r"})
    report({"id": None, "exception": Final("no resource"), "ti": task, "run_id": "r"})
    assert told == [("a", "too few users")]


def test_a_failure_without_words_points_to_the_log() -> None:
    task = SimpleNamespace(task_id="reproduce")
    assert "Task reproduce failed (KeyError)" in reason({"exception": KeyError(), "ti": task, "run_id": "taste.1"})
    assert "run taste.1" in reason({"exception": None, "ti": task, "run_id": "taste.1"})


def test_a_scheduled_run_decides_for_the_time_it_was_due_and_one_by_hand_for_its_own() -> None:
    due, now = datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 25, 15, tzinfo=UTC)
    form = {"solution_arns": ["arn:taste"], "force": True}
    dag = SimpleNamespace(dag_id="full_retrain")
    late = SimpleNamespace(logical_date=due, run_after=due)
    by_hand = SimpleNamespace(logical_date=None, run_after=now)
    run = retraining_run({"dag": dag, "dag_run": late, "run_id": "scheduled__x", "params": form})
    assert (run.asker.dag_id, run.moment, run.id, run.only, run.force) == (
        "full_retrain",
        due,
        "scheduled__x",
        ["arn:taste"],
        True,
    )
    assert retraining_run({"dag": dag, "dag_run": by_hand, "run_id": "manual__x", "params": form}).moment == now


def test_a_failure_that_no_resource_waits_for_is_in_the_log_with_what_it_means(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log_failure("no data has changed")({"exception": OSError("the disk is gone")})
    assert [record.getMessage() for record in caplog.records] == ["the disk is gone; no data has changed"]


@pytest.mark.parametrize(("status", "told"), [(store.CREATE_IN_PROGRESS, True), (store.ACTIVE, False)])
def test_a_run_that_takes_long_says_so_on_its_resource(
    conn: Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch, status: str, told: bool
) -> None:
    for name, value in settings.to_env().items():
        monkeypatch.setenv(name, value)
    with conn.begin():
        version = add_version(conn, add_solution(conn, add_group(conn)), status=status)
        run_id = wishes.wish(conn, version, "solution_version")
    late(12, {"dag_run": {"dag_run_id": run_id, "dag_id": "solution_version", "state": "running"}})
    late(12, {"dag_run": {"dag_run_id": "of nothing", "dag_id": "dataset_compaction", "state": "queued"}})
    with conn.begin():
        found = store.get(conn, id=version.id)
    assert found is not None
    assert found.internal.get(LATE) == (
        f"Not finished after 12 hours; run {run_id} of DAG solution_version in the Airflow UI shows what takes so long."
        if told
        else None
    )


def test_a_run_that_failed_in_time_is_not_late(caplog: pytest.LogCaptureFixture) -> None:
    late(1, {"dag_run": {"dag_run_id": "r", "dag_id": "campaign_deployment", "state": "failed"}})
    assert caplog.records == []
