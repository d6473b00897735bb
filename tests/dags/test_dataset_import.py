"""The shape of DAG `dataset_import`."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def dag(dags: Any) -> Any:
    return dags.dags["dataset_import"]


def test_the_steps_follow_each_other(dag: Any) -> None:
    assert [task.task_id for task in dag.topological_sort()] == ["load", "check", "commit"]
    assert dag.get_task("commit").upstream_task_ids == {"load", "check"}


def test_what_needs_memory_takes_a_slot_of_the_memory_pool(dag: Any) -> None:
    slots = {task.task_id: (task.pool, task.pool_slots) for task in dag.tasks}
    assert slots == {"load": ("memory", 1), "check": ("memory", 1), "commit": ("default_pool", 1)}


def test_it_never_starts_by_itself_and_ends_by_itself(dag: Any) -> None:
    assert dag.schedule is None
    assert dag.dagrun_timeout is not None


def test_the_form_refuses_what_is_no_dataset_or_place(dag: Any) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    assert dag.params.get_param("dataset_arn").resolve("arn:aws:personalize:us-east-1:123456789012:dataset/shop/ITEMS")
    assert dag.params.get_param("data_location").resolve("s3://bucket/folder/")
    for name, wrong in (("dataset_arn", "ITEMS"), ("data_location", "/etc/passwd"), ("import_mode", "SOME")):
        with pytest.raises(ParamValidationError):
            dag.params.get_param(name).resolve(wrong)


def test_each_task_that_writes_to_the_report_links_to_it(dag: Any) -> None:
    links = {task.task_id: [link.name for link in task.operator_extra_links] for task in dag.tasks}
    assert links == {"load": ["Import report"], "check": ["Import report"], "commit": []}
