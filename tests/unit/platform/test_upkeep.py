"""What is forgotten so that nothing grows without bounds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pipelines.platform.airflow_client import AirflowUnavailable
from pipelines.platform.upkeep import forget_runs
from pipelines.settings import Settings

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Runs:
    """An Airflow that is asked to forget."""

    def __init__(self, problem: str = "") -> None:
        self.before: list[datetime] = []
        self.problem = problem

    def forget_runs(self, before: datetime) -> int:
        if self.problem:
            raise AirflowUnavailable(self.problem)
        self.before.append(before)
        return 3


def test_dag_runs_go_with_their_logs(settings: Settings) -> None:
    airflow = Runs()
    assert forget_runs(settings, airflow, NOW) is None
    assert airflow.before == [NOW - timedelta(days=30)]


def test_a_companys_own_airflow_keeps_its_runs(settings: Settings) -> None:
    airflow = Runs()
    assert forget_runs(replace(settings, airflow_url="http://airflow:8080"), airflow, NOW) is None
    assert airflow.before == []


def test_an_airflow_that_does_not_answer_is_asked_again(settings: Settings) -> None:
    assert forget_runs(settings, Runs("Airflow gives no answer"), NOW) == "Airflow gives no answer"
