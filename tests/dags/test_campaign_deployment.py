"""The shape of DAG `campaign_deployment`."""

from __future__ import annotations

from typing import Any

import pytest

SOLUTION = "arn:aws:personalize:us-east-1:123456789012:solution/taste"


@pytest.fixture
def dag(dags: Any) -> Any:
    return dags.dags["campaign_deployment"]


def test_the_update_is_made_and_then_waited_for_without_a_worker(dag: Any) -> None:
    assert [task.task_id for task in dag.topological_sort()] == ["update", "wait"]
    assert dag.get_task("wait").reschedule


def test_it_never_starts_by_itself_and_ends_by_itself(dag: Any) -> None:
    assert dag.schedule is None
    assert dag.dagrun_timeout is not None


@pytest.mark.parametrize("version", ["$LATEST", f"{SOLUTION}/$LATEST", f"{SOLUTION}/01234567"])
def test_the_form_takes_what_names_a_version(dag: Any, version: str) -> None:
    assert dag.params.get_param("solution_version_arn").resolve(version) == version


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("solution_version_arn", SOLUTION),
        ("solution_version_arn", "LATEST"),
        ("campaign_arn", "front"),
        ("follow", "yes"),
    ],
)
def test_the_form_refuses_what_is_no_campaign_or_version(dag: Any, name: str, wrong: str) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        dag.params.get_param(name).resolve(wrong)
