"""The shape of DAG `solution_version`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection

from pipelines.registry import store
from pipelines.settings import Settings
from tests.support.registry import add_campaign, add_group, add_solution, add_version


@pytest.fixture
def dag(dags: Any) -> Any:
    return dags.dags["solution_version"]


def test_the_steps_follow_each_other(dag: Any) -> None:
    order = [task.task_id for task in dag.topological_sort()]
    assert order == ["claim", "reproduce", "publish", "judge", "approve", "deploy"]
    assert dag.get_task("publish").upstream_task_ids == {"claim", "reproduce"}
    assert dag.get_task("judge").upstream_task_ids == {"claim", "publish"}


def test_one_way_leads_around_the_question_and_nobody_s_answer_deploys_nothing(dag: Any) -> None:
    assert dag.get_task("judge").downstream_task_ids == {"approve", "deploy"}
    assert dag.get_task("deploy").upstream_task_ids == {"claim", "judge", "approve"}
    assert dag.get_task("deploy").trigger_rule == "none_failed_min_one_success"
    approve = dag.get_task("approve")
    assert (approve.options, approve.defaults) == (["Approve", "Reject"], ["Reject"])
    assert dag.dagrun_timeout > approve.response_timeout


def test_a_training_takes_two_slots_of_the_memory_pool_and_nothing_else_takes_any(dag: Any) -> None:
    assert (dag.get_task("reproduce").pool, dag.get_task("reproduce").pool_slots) == ("memory", 2)
    assert {task.pool for task in dag.tasks if task.task_id != "reproduce"} == {"default_pool"}


def test_it_never_starts_by_itself_and_ends_by_itself(dag: Any) -> None:
    assert dag.schedule is None
    assert dag.dagrun_timeout is not None


def test_the_form_refuses_what_is_no_solution(dag: Any) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    arn = dag.params.get_param("solution_arn")
    assert arn.resolve("arn:aws:personalize:us-east-1:123456789012:solution/taste")
    for wrong in ("taste", "arn:aws:personalize:us-east-1:123456789012:solution/taste/01234567"):
        with pytest.raises(ParamValidationError):
            arn.resolve(wrong)


def test_the_form_takes_a_share_for_the_fall(dag: Any) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    fall = dag.params.get_param("allowed_fall")
    assert (fall.resolve(), fall.resolve(0.25)) == (None, 0.25)
    for wrong in (10, -0.1, "10 %"):
        with pytest.raises(ParamValidationError):
            fall.resolve(wrong)


def test_the_steps_of_a_version_that_was_stopped_are_skipped(
    dag: Any, conn: Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    for name, value in settings.to_env().items():
        monkeypatch.setenv(name, value)
    with conn.begin():
        solution = add_solution(conn, add_group(conn))
        old = add_version(conn, solution, "00000001")
        follower = add_campaign(conn, old, "follower", store.ACTIVE, syncWithLatestSolutionVersion=True)
        version = add_version(conn, solution, "00000002", status=store.CREATE_STOPPED)
    context = {"dag_run": SimpleNamespace(conf={}), "params": {"resource_id": version.id}}
    # `deploy` too: its trigger rule takes the success of `claim` for enough.
    for task_id, args in (("claim", ()), *((name, (version.id,)) for name in ("reproduce", "publish", "deploy"))):
        step = dag.get_task(task_id).python_callable
        monkeypatch.setitem(step.__globals__, "get_current_context", lambda: context)
        with pytest.raises(AirflowSkipException, match="was stopped"):
            step(*args)
    with conn.begin():
        assert store.get(conn, id=follower.id) == follower
