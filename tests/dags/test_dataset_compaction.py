"""The shape of DAG `dataset_compaction`."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def dag(dags: Any) -> Any:
    return dags.dags["dataset_compaction"]


def test_it_runs_once_a_day_one_run_at_a_time(dag: Any) -> None:
    assert (dag.schedule, dag.max_active_runs) == ("@daily", 1)


def test_its_one_task_takes_a_slot_of_the_memory_pool(dag: Any) -> None:
    assert [(task.task_id, task.pool, task.pool_slots) for task in dag.tasks] == [("compact", "memory", 1)]


def test_the_form_refuses_what_is_no_dataset(dag: Any) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    arn = dag.params.get_param("dataset_arn")
    assert arn.resolve() is None
    assert arn.resolve("arn:aws:personalize:us-east-1:123456789012:dataset/shop/ITEMS")
    with pytest.raises(ParamValidationError):
        arn.resolve("shop")
