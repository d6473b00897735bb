"""kill -9 of every process, one after another, while a model trains: nothing acknowledged is lost, nothing hangs.

The parent of everything, the task and its stages are killed too, and the whole platform is stopped in the middle.
Seconds from the blow to a healthy platform and to the version's end go into the report (`--junitxml`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable

import psutil
import psycopg
import pytest

from pipelines.platform.clients import Clients
from pipelines.platform.health import all_healthy, observe
from pipelines.platform.state import running_state
from pipelines.settings import Settings
from tests.support import shop
from tests.support.command import Command, leftovers
from tests.support.life import Life, wait_for

pytestmark = pytest.mark.soak

VICTIMS = ("scheduler", "control", "execution", "runtime", "reconciler", "postgres", "supervisor")
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def life(platform: Settings) -> Life:
    life = Life(Clients.of(platform), "kills")
    life.group()
    # Enough work that the training is still under way when the process dies, and when it is back.
    life.import_all(shop.write(platform.home / "data" / "kills", users=600, items=400, events=40))
    life.clients.personalize.create_solution(
        name="kills",
        datasetGroupArn=life.clients.arn("dataset-group", "kills"),
        recipeArn="arn:aws:personalize:::recipe/aws-user-personalization",
        performAutoTraining=False,
    )
    return life


@pytest.fixture(scope="module")
def tracking_id(life: Life) -> str:
    return life.tracker()


def events_of(platform: Settings, user: str) -> set[str]:
    with psycopg.connect(platform.database_url) as connection:
        rows = connection.execute("SELECT event_id FROM openpersonalize.events WHERE user_key = %s", [user])
        return {row[0] for row in rows}


def pid_of(platform: Settings, victim: str) -> int | None:
    """The process that the supervisor runs under that name now, or the supervisor itself."""
    state = running_state(platform)
    if state is None:
        return None
    identity = state.supervisor if victim == "supervisor" else state.children[victim].identity
    return identity.pid if identity else None


def healthy(platform: Settings) -> bool:
    state = running_state(platform)
    return state is not None and all_healthy(observe(state))


def job_processes(platform: Settings, version: str, word: str) -> list[psutil.Process]:
    """Living processes of the version's job whose command has the word."""
    with psycopg.connect(platform.database_url) as connection:
        row = connection.execute("SELECT id FROM openpersonalize.resources WHERE arn = %s", [version]).fetchone()
    assert row is not None
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            job = process.environ().get("OPENPERSONALIZE_JOB", "")
            if job.endswith(f"/{row[0]}") and word in process.cmdline():
                found.append(process)
    return found


def start_training(platform: Settings, life: Life, tracking_id: str) -> str:
    """A new version, one of whose longer stages runs now."""
    # One more event than the version before had, or all of it would come from the cache.
    life.send(tracking_id, "user-of-all", "i2")
    version = life.train_again(life.clients.arn("solution", "kills"))
    wait_for("the training", lambda: job_processes(platform, version, "evaluate"), seconds=180)
    return version


def settle(life: Life, version: str, struck: float, record: Record) -> str:
    """The final status; after CREATE FAILED, which must have a reason, a retry must succeed."""
    settled = life.final("SolutionVersion", version, seconds=600)
    record("seconds_to_end", round(time.monotonic() - struck, 1))
    record("status", settled["status"])
    assert settled["status"] in ("ACTIVE", "CREATE FAILED")
    if settled["status"] == "CREATE FAILED":
        assert settled["failureReason"]
        record("reason", settled["failureReason"])
        life.active("SolutionVersion", life.train_again(life.clients.arn("solution", "kills")), seconds=600)
    status: str = settled["status"]
    return status


@pytest.mark.parametrize("generations", [0, 2, 3], ids=["stage", "task", "executor"])
def test_a_killed_task_is_started_again(
    platform: Settings, life: Life, tracking_id: str, generations: int, record_property: Record
) -> None:
    """The stage's process, the task that runs dvc, and the executor's process that watches the task."""
    version = start_training(platform, life, tracking_id)
    victim = job_processes(platform, version, "evaluate")[-1]
    if generations:
        # Between the stage and dvc there may be a shell; the task is dvc's parent.
        victim = job_processes(platform, version, "pipelines.repository.dvc_commands")[0]
        for _ in range(generations - 1):
            parent = victim.parent()
            assert parent is not None
            victim = parent

    victim.kill()

    assert settle(life, version, time.monotonic(), record_property) == "ACTIVE"


def test_down_in_the_middle_of_a_training_and_up_again(
    platform: Settings, command: Command, life: Life, tracking_id: str, record_property: Record
) -> None:
    version = start_training(platform, life, tracking_id)

    stopped = command("down")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    assert leftovers(platform) == []
    struck = time.monotonic()
    assert command("up").returncode == 0

    settle(life, version, struck, record_property)


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_training_survives_or_fails_with_a_reason_and_a_retry_succeeds(
    platform: Settings, command: Command, life: Life, tracking_id: str, victim: str, record_property: Record
) -> None:
    version = start_training(platform, life, tracking_id)
    acknowledged = {f"{victim}-{n}" for n in range(20)}
    for event_id in sorted(acknowledged):
        life.send(tracking_id, f"user-{victim}", "i1", eventId=event_id)

    killed = pid_of(platform, victim)
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    struck = time.monotonic()
    if victim == "supervisor":
        assert command("up").returncode == 0
    wait_for(
        "recovery", lambda: pid_of(platform, victim) not in (None, killed) and healthy(platform), seconds=180, every=0.5
    )
    record_property("seconds_to_health", round(time.monotonic() - struck, 1))

    assert events_of(platform, f"user-{victim}") == acknowledged
    settle(life, version, struck, record_property)
