"""The shape of DAG `incremental_update`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

SOLUTION = "arn:aws:personalize:us-east-1:123456789012:solution/taste"


@pytest.fixture
def dag(dags: Any) -> Any:
    return dags.dags["incremental_update"]


def test_it_runs_every_two_hours_and_makes_up_for_nothing(dag: Any) -> None:
    assert (dag.schedule, dag.catchup) == ("0 */2 * * *", False)


def test_each_solution_has_a_group_of_its_own_named_after_it(dag: Any) -> None:
    assert "fold.update" in dag.get_task("due").downstream_task_ids
    task = dag.get_task("fold.update")
    assert task.get_closest_mapped_task_group().group_id == "fold"
    assert task.map_index_template == "{{ task.op_kwargs['solution']['name'] }}"
    assert (task.pool, dag.get_task("due").pool) == ("memory", "schedules")


def test_the_form_names_solutions_to_update_now(dag: Any) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    arns = dag.params.get_param("solution_arns")
    assert arns.resolve() is None
    assert arns.resolve([SOLUTION]) == [SOLUTION]
    with pytest.raises(ParamValidationError):
        arns.resolve(["taste"])


def test_a_failure_is_put_on_the_version_that_its_task_was_for(dag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.versions import updating

    failed: list[Any] = []
    monkeypatch.setattr(updating, "fail", lambda _settings, *given: failed.append(given[:2]))
    [report] = dag.get_task("fold.update").on_failure_callback

    context = {
        "task": SimpleNamespace(op_kwargs={"solution": {"version_id": "v1", "name": "taste"}}),
        "ti": SimpleNamespace(task_id="fold.update"),
        "dag_run": SimpleNamespace(logical_date=None, run_after=None),
        "exception": ValueError("no room"),
        "run_id": "r",
    }
    report(context)
    report({**context, "task": SimpleNamespace()})
    assert failed == [("v1", "no room")]
