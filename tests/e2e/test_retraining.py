"""`full_retrain` and `automatic_training` in a real Airflow: a box a solution, named after it, red only where it failed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipelines.platform.airflow_client import FAILED, LIVING, SUCCESS, AirflowClient
from pipelines.platform.clients import Clients
from pipelines.platform.credentials import ADMIN, passwords_file
from pipelines.platform.files import read_json
from pipelines.platform.local_http import ask
from pipelines.settings import Settings
from tests.support import shop
from tests.support.life import RECIPE, Life, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.soak]


def boxes(settings: Settings, dag_id: str, run_id: str) -> dict[str, str]:
    """What the UI shows of a run: `task [name]` and its state."""
    passwords = read_json(passwords_file(settings))
    assert isinstance(passwords, dict)
    login = ask(f"{settings.airflow}/auth/token", {"username": ADMIN, "password": passwords[ADMIN]}, method="POST")
    headers = {"Authorization": f"Bearer {login.body['access_token']}"}
    answer = ask(f"{settings.airflow}/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances", headers=headers)
    assert answer.status == 200, answer
    found = answer.body["task_instances"]
    return {f"{one['task_id']} [{one['rendered_map_index'] or ''}]": one["state"] for one in found}


def run(settings: Settings, dag_id: str, run_id: str, **conf: Any) -> str:
    """The state in which a run started by hand ends."""
    airflow = AirflowClient(settings)
    wait_for("Airflow parses the DAG", lambda: airflow.state(dag_id, "no-such-run") is None)
    airflow.trigger(dag_id, run_id, conf)
    state: str = wait_for(
        run_id, lambda: state if (state := airflow.state(dag_id, run_id)) not in (*LIVING, None) else None, seconds=500
    )
    return state


def test_solutions_are_retrained_side_by_side_and_one_that_fails_holds_up_no_other(platform: Settings) -> None:
    life = Life(Clients.of(platform), "weekly")
    group = life.group()
    life.import_all(shop.write(platform.home / "data" / "weekly"))
    personalize = life.clients.personalize
    arns = {
        name: personalize.create_solution(
            name=f"weekly-{name}", datasetGroupArn=group, recipeArn=RECIPE + "popularity-count", **more
        )["solutionArn"]
        for name, more in (("good", {}), ("bad", {"eventType": "never"}), ("hand", {"performAutoTraining": False}))
    }

    # They are minutes old: none is due.
    assert run(platform, "automatic_training", "early", solution_arns=list(arns.values())) == SUCCESS
    assert run(platform, "full_retrain", "not-due", solution_arns=list(arns.values())) == SUCCESS
    assert all(personalize.list_solution_versions(solutionArn=arn)["solutionVersions"] == [] for arn in arns.values())

    assert run(platform, "full_retrain", "now", solution_arns=list(arns.values()), force=True) == FAILED
    assert boxes(platform, "full_retrain", "now") == {
        "due []": "success",
        **{f"retrain.create [weekly-{name}]": "success" for name in arns},
        **{f"retrain.follow [weekly-{name}]": "failed" if name == "bad" else "success" for name in arns},
    }
    for name, arn in arns.items():
        [version] = personalize.list_solution_versions(solutionArn=arn)["solutionVersions"]
        shown = life.clients.describe("SolutionVersion", version["solutionVersionArn"])
        assert (shown["status"], shown["trainingType"], shown["trainingMode"]) == (
            "CREATE FAILED" if name == "bad" else "ACTIVE",
            "AUTOMATIC",
            "FULL",
        )

    # One by one, without harm to the next schedule: a version that was made is not due again.
    assert run(platform, "automatic_training", "again", solution_arns=[arns["good"]]) == SUCCESS
    assert len(personalize.list_solution_versions(solutionArn=arns["good"])["solutionVersions"]) == 1
    assert run(platform, "full_retrain", "no-such", solution_arns=[arns["good"] + "x"]) == FAILED


def test_ended_runs_are_forgotten_but_for_the_newest_of_each_dag(platform: Settings) -> None:
    for name in ("one", "two"):
        assert run(platform, "full_retrain", name) == SUCCESS
    airflow = AirflowClient(platform)
    newest = datetime.now(UTC) + timedelta(hours=1)
    assert airflow.forget_runs(newest) >= 1
    assert [airflow.state("full_retrain", name) for name in ("one", "two")] == [None, SUCCESS]
    assert airflow.forget_runs(newest) == 0
