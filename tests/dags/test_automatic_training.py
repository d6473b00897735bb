"""The shape of DAG `automatic_training`."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def dag(dags: Any) -> Any:
    return dags.dags["automatic_training"]


def test_it_runs_as_often_as_the_decision_assumes(dag: Any, dags: Any) -> None:
    from airflow.timetables.trigger import CronTriggerTimetable
    from pendulum import datetime as moment

    from pipelines.schedules.due import ASKERS

    assert {name for name in dags.dags if name in ASKERS} == set(ASKERS)
    for name, asker in ASKERS.items():
        timetable = CronTriggerTimetable(
            {"@weekly": "0 0 * * 0"}.get(dags.dags[name].schedule, dags.dags[name].schedule), timezone="UTC"
        )
        first = timetable._get_next(moment(2026, 11, 22, 0, 1))
        assert timetable._get_next(first) - first == asker.every, name


def test_a_training_that_takes_days_does_not_hold_up_the_next_runs(dag: Any) -> None:
    assert dag.max_active_runs > 1
    assert not dag.catchup
    assert not any(task.depends_on_past for task in dag.tasks)


def test_it_asks_and_then_has_a_group_a_solution(dag: Any) -> None:
    assert [task.task_id for task in dag.topological_sort()] == ["due", "retrain.create", "retrain.follow"]
    assert dag.get_task("retrain.follow").reschedule


def test_the_form_looks_at_all_solutions_unless_told_otherwise(dag: Any) -> None:
    assert dag.params.get_param("solution_arns").resolve() is None
