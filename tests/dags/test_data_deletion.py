"""The shape of DAG `data_deletion`."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def dag(dags: Any) -> Any:
    return dags.dags["data_deletion"]


def test_the_steps_follow_each_other(dag: Any) -> None:
    assert [task.task_id for task in dag.topological_sort()] == ["read", "sweep", "clean", "finish"]
    assert dag.get_task("finish").upstream_task_ids == {"clean", "read"}


def test_while_it_waits_for_trainings_it_holds_no_worker(dag: Any) -> None:
    assert dag.get_task("sweep").reschedule


def test_it_never_starts_by_itself_and_ends_by_itself(dag: Any) -> None:
    assert dag.schedule is None
    assert dag.dagrun_timeout is not None


def test_the_form_refuses_what_is_no_group_or_place(dag: Any) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    arn = "arn:aws:personalize:us-east-1:123456789012:dataset-group/shop"
    assert dag.params.get_param("dataset_group_arn").resolve(arn)
    assert dag.params.get_param("data_location").resolve("s3://bucket/users.csv")
    for name, wrong in (("dataset_group_arn", "shop"), ("data_location", "/etc/passwd")):
        with pytest.raises(ParamValidationError):
            dag.params.get_param(name).resolve(wrong)
