"""The shape of DAG `full_retrain`."""

from __future__ import annotations

from typing import Any

import pytest

SOLUTION = "arn:aws:personalize:us-east-1:123456789012:solution/taste"


@pytest.fixture
def dag(dags: Any) -> Any:
    return dags.dags["full_retrain"]


def test_it_runs_weekly_and_makes_up_for_nothing(dag: Any) -> None:
    assert (dag.schedule, dag.catchup) == ("@weekly", False)
    assert dag.dagrun_timeout is not None


def test_each_solution_has_a_group_of_its_own_named_after_it(dag: Any) -> None:
    assert dag.get_task("due").downstream_task_ids == {"retrain.create", "retrain.follow"}
    assert dag.get_task("retrain.create").downstream_task_ids == {"retrain.follow"}
    for name in ("create", "follow"):
        task = dag.get_task(f"retrain.{name}")
        assert task.get_closest_mapped_task_group().group_id == "retrain"
        assert task.map_index_template == "{{ task.op_kwargs['solution']['name'] }}"


def test_who_waits_for_a_training_takes_no_worker_and_all_leave_workers_to_others(dag: Any) -> None:
    from pipelines.platform.airflow_env import PARALLEL_TASKS, POOLS

    assert dag.get_task("retrain.follow").reschedule
    assert {task.pool for task in dag.tasks} == {"schedules"}
    assert POOLS["schedules"] < PARALLEL_TASKS


def test_the_form_retrains_what_is_due_unless_told_otherwise(dag: Any) -> None:
    params = {name: dag.params.get_param(name) for name in dag.params}
    assert {name: param.resolve() for name, param in params.items()} == {"solution_arns": None, "force": False}
    assert all(param.schema["title"] and param.description for param in params.values())


def test_the_form_refuses_what_is_no_solution(dag: Any) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    arns = dag.params.get_param("solution_arns")
    assert arns.resolve([SOLUTION, SOLUTION + "2"])
    for wrong in ("taste", ["taste"], [SOLUTION + "/01234567"]):
        with pytest.raises(ParamValidationError):
            arns.resolve(wrong)
