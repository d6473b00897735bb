"""The shape of DAGs `batch_inference` and `batch_segment`."""

from __future__ import annotations

from typing import Any

import pytest

WORK = {"batch_inference": "infer", "batch_segment": "segment"}
"""By DAG the task that does it."""


@pytest.fixture(params=WORK)
def dag(dags: Any, request: pytest.FixtureRequest) -> Any:
    return dags.dags[request.param]


def test_a_job_is_there_before_the_work_begins(dag: Any) -> None:
    assert [task.task_id for task in dag.topological_sort()] == ["create", WORK[dag.dag_id]]
    assert dag.get_task(WORK[dag.dag_id]).upstream_task_ids == {"create"}


def test_what_needs_memory_takes_a_slot_of_the_memory_pool(dag: Any) -> None:
    slots = {task.task_id: (task.pool, task.pool_slots) for task in dag.tasks}
    assert slots == {"create": ("default_pool", 1), WORK[dag.dag_id]: ("memory", 1)}


def test_it_never_starts_by_itself_and_ends_by_itself(dag: Any) -> None:
    assert dag.schedule is None
    assert dag.dagrun_timeout is not None


def test_the_form_refuses_what_is_no_version_place_or_number(dag: Any) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    assert dag.params.get_param("input_path").resolve("s3://bucket/folder/")
    cases = (
        ("solution_version_arn", "taste"),
        ("input_path", "/etc"),
        ("output_path", "/etc"),
        ("num_results", 0),
        ("num_results", 5_000_001),
    )
    for name, wrong in cases:
        with pytest.raises(ParamValidationError):
            dag.params.get_param(name).resolve(wrong)
