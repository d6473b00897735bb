"""What the reconciler makes of answers given in Airflow, and of questions that need none any more."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection

from pipelines.platform.airflow_client import AirflowUnavailable, Question
from pipelines.platform.questions import settle_questions
from pipelines.registry import store, wishes
from pipelines.registry.store import Resource
from pipelines.settings import Settings
from pipelines.versions.rollout import JUDGE, judge
from tests.support.registry import add_campaign, add_group, add_solution, add_version

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WAITS = Question(waits=True, chosen=None, by=None)


class Asked:
    """An Airflow with one question."""

    def __init__(self, question: Question | None, state: str | None = "running") -> None:
        self.asked, self.run_state = question, state
        self.answers: list[tuple[str, str, str, str]] = []

    def state(self, dag_id: str, run_id: str) -> str | None:
        return self.run_state

    def question(self, dag_id: str, run_id: str, task_id: str) -> Question | None:
        return self.asked

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str) -> None:
        self.answers.append((dag_id, run_id, task_id, option))


@pytest.fixture
def campaign(conn: Connection) -> Resource:
    with conn.begin():
        solution = add_solution(conn, add_group(conn))
        old = add_version(conn, solution, "00000001", metrics={JUDGE: 0.2})
        return add_campaign(conn, old, "front", store.ACTIVE, syncWithLatestSolutionVersion=True)


@pytest.fixture
def held(conn: Connection, settings: Settings, campaign: Resource) -> Resource:
    with conn.begin():
        solution = store.get(conn, id=campaign.parent_id)
        assert solution is not None
        version = add_version(conn, solution, "00000002", metrics={JUDGE: 0.1})
        wishes.wish(conn, version, "solution_version")
    judge(settings, version.id)
    return version


def decision(conn: Connection, version: Resource) -> dict[str, str] | None:
    with conn.begin():
        found = store.get(conn, id=version.id)
    assert found is not None
    decided: dict[str, str] | None = found.internal["held"]["decision"]
    return decided


@pytest.mark.parametrize("state", ["running", "queued"])
@pytest.mark.parametrize("question", [WAITS, None, Question(waits=False, chosen=None, by=None)])
def test_as_long_as_somebody_can_answer_it_waits(
    conn: Connection, held: Resource, question: Question, state: str
) -> None:
    airflow = Asked(question, state)
    assert settle_questions(conn, airflow, NOW) is None
    assert (decision(conn, held), airflow.answers) == (None, [])


@pytest.mark.parametrize(
    ("chosen", "by", "choice"),
    [("Approve", "ada", "approved"), ("Reject", "ada", "rejected"), ("Reject", None, "unanswered")],
)
def test_an_answer_is_written_on_the_version(
    conn: Connection, held: Resource, chosen: str, by: str, choice: str
) -> None:
    settle_questions(conn, Asked(Question(waits=False, chosen=chosen, by=by)), NOW)
    assert decision(conn, held) == {"choice": choice, "by": by, "at": NOW.isoformat()}


@pytest.mark.parametrize("state", ["failed", None])
def test_a_run_that_was_stopped_leaves_no_question(conn: Connection, held: Resource, state: str | None) -> None:
    settle_questions(conn, Asked(None, state), NOW)
    assert (decision(conn, held) or {})["choice"] == "unanswered"


def test_a_question_that_no_answer_would_change_is_ended_in_airflow_too(
    conn: Connection, held: Resource, campaign: Resource
) -> None:
    with conn.begin():
        deployment = {**campaign.internal["deployment"], "config": {"syncWithLatestSolutionVersion": False}}
        store.update(conn, campaign.id, internal={"deployment": deployment})
    airflow = Asked(WAITS)
    settle_questions(conn, airflow, NOW)
    assert (decision(conn, held) or {})["choice"] == "superseded"
    assert airflow.answers == [("solution_version", f"taste.00000002.{held.id}", "approve", "Reject")]


def test_without_airflow_nothing_is_decided(conn: Connection, held: Resource) -> None:
    class Gone(Asked):
        def question(self, dag_id: str, run_id: str, task_id: str) -> Question | None:
            raise AirflowUnavailable("it is away")

    assert settle_questions(conn, Gone(None), NOW) == "it is away"
    assert decision(conn, held) is None
