"""The shape of DAG `dataset_export`."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def dag(dags: Any) -> Any:
    return dags.dags["dataset_export"]


def test_a_job_is_there_before_the_work_begins(dag: Any) -> None:
    assert [task.task_id for task in dag.topological_sort()] == ["create", "export"]
    assert dag.get_task("export").upstream_task_ids == {"create"}


def test_what_needs_memory_takes_a_slot_of_the_memory_pool(dag: Any) -> None:
    slots = {task.task_id: (task.pool, task.pool_slots) for task in dag.tasks}
    assert slots == {"create": ("default_pool", 1), "export": ("memory", 1)}


def test_it_never_starts_by_itself_and_ends_by_itself(dag: Any) -> None:
    assert dag.schedule is None
    assert dag.dagrun_timeout is not None


def test_the_form_refuses_what_is_no_dataset_place_or_mode(dag: Any) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    assert dag.params.get_param("path").resolve("s3://bucket/folder/")
    for name, wrong in (("dataset_arn", "ITEMS"), ("path", "/etc"), ("ingestion_mode", "SOME")):
        with pytest.raises(ParamValidationError):
            dag.params.get_param(name).resolve(wrong)
