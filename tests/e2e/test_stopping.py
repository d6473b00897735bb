"""A training in a real Airflow is stopped by a client: its processes end, and its run without a failure."""

from __future__ import annotations

import time
from typing import Any

import psutil
import pytest

from pipelines.platform.airflow_client import SUCCESS, AirflowClient
from pipelines.platform.clients import Clients
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.store import Resource
from pipelines.repository.environment import JOB_VARIABLE
from pipelines.settings import Settings
from tests.e2e.test_retraining import boxes
from tests.support import shop
from tests.support.life import Life, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.soak]


def row(settings: Settings, arn: str) -> Resource:
    with transaction(settings) as conn:
        found = store.get(conn, arn=arn)
    assert found is not None
    return found


def processes(version: Resource) -> list[psutil.Process]:
    """Those of its training."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(JOB_VARIABLE, "").endswith(version.id):
                found.append(process)
        except psutil.Error:
            continue
    return found


def stop(life: Life, settings: Settings, arn: str) -> float:
    """Seconds until the version is CREATE STOPPED."""
    begun = time.monotonic()
    life.clients.personalize.stop_solution_version_creation(solutionVersionArn=arn)
    wait_for("CREATE STOPPED", lambda: row(settings, arn).status == store.CREATE_STOPPED, seconds=60)
    return time.monotonic() - begun


def ended(settings: Settings, version: Resource) -> dict[str, Any]:
    """The run's boxes once it has ended, which must be without a failure."""
    run_id, airflow = f"{version.name.replace('/', '.')}.{version.id}", AirflowClient(settings)
    wait_for(run_id, lambda: airflow.state("solution_version", run_id) == SUCCESS, seconds=120)
    return boxes(settings, "solution_version", run_id)


def test_a_training_is_stopped_and_its_run_ends_without_failure(platform: Settings) -> None:
    life = Life(Clients.of(platform), "stopped")
    life.group()
    life.import_all(shop.write(platform.home / "data" / "stopped", users=2000, items=400))
    arn = life.start_training("user-personalization", hidden_dimension="256")
    solution = arn.rpartition("/")[0]
    version = row(platform, arn)
    # DVC and its stage.
    group = wait_for("its stages run", lambda: found if len(found := processes(version)) >= 2 else None)
    # The next of its solution waits for the branch, one more for memory.
    others = [life.train_again(solution) for _ in range(2)]
    wait_for("the others wait", lambda: all(row(platform, one).status == store.CREATE_IN_PROGRESS for one in others))

    took = {"training": stop(life, platform, arn)}
    assert [process for process in group if process.is_running()] == []
    assert processes(version) == []
    took["waiting"] = max(stop(life, platform, one) for one in others)
    print("seconds from the call to CREATE STOPPED:", {what: round(seconds, 1) for what, seconds in took.items()})

    for one in (arn, *others):
        shown = life.clients.describe("SolutionVersion", one)
        assert (shown["status"], "failureReason" in shown) == ("CREATE STOPPED", False)
    assert ended(platform, version) == {
        "claim []": "success",
        **{f"{task} []": "skipped" for task in ("reproduce", "publish", "judge", "approve", "deploy")},
    }
    for one in others:
        assert ended(platform, row(platform, one))["publish []"] == "skipped"
    assert processes(version) == []

    # What was stopped holds up nothing: a new version trains, on the same branch.
    again = life.start_training("popularity-count", "stopped-again")
    life.active("SolutionVersion", again)
    life.clients.personalize.delete_solution(solutionArn=solution)
    wait_for("the solution is gone", lambda: _gone(life, solution), seconds=60)


def _gone(life: Life, solution: str) -> bool:
    shown = life.clients.personalize.list_solutions()["solutions"]
    return solution not in [one["solutionArn"] for one in shown]
