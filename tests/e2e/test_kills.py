"""kill -9 of every process, one after another, while a model trains: nothing acknowledged is lost, nothing hangs."""

from __future__ import annotations

import os
import signal

import psycopg
import pytest

from pipelines.platform.clients import Clients
from pipelines.settings import Settings
from tests.support import shop
from tests.support.command import Command
from tests.support.life import Life, wait_for

pytestmark = pytest.mark.soak

VICTIMS = ("scheduler", "control", "execution", "runtime", "reconciler", "postgres", "supervisor")


@pytest.fixture(scope="module")
def life(platform: Settings) -> Life:
    life = Life(Clients.of(platform), "kills")
    life.group()
    # Enough work that the training is still under way when the process dies.
    life.import_all(shop.write(platform.home / "data" / "kills", users=1000, items=400, events=40))
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


def healthy(command: Command) -> bool:
    return command("status").returncode == 0


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_training_survives_or_fails_with_a_reason_and_a_retry_succeeds(
    platform: Settings, command: Command, life: Life, tracking_id: str, victim: str
) -> None:
    solution = life.clients.arn("solution", "kills")
    version = life.train_again(solution)

    def training() -> bool:
        return bool(life.clients.describe("SolutionVersion", version)["status"] == "CREATE IN_PROGRESS")

    wait_for("the training", training, seconds=120)
    acknowledged = {f"{victim}-{n}" for n in range(20)}
    for event_id in sorted(acknowledged):
        life.send(tracking_id, f"user-{victim}", "i1", eventId=event_id)

    os.kill(command.status()[victim]["pid"], signal.SIGKILL)
    if victim == "supervisor":
        assert command("up").returncode == 0
    wait_for("recovery", lambda: healthy(command), seconds=180, every=1)

    assert events_of(platform, f"user-{victim}") == acknowledged
    settled = life.final("SolutionVersion", version, seconds=600)
    assert settled["status"] in ("ACTIVE", "CREATE FAILED")
    if settled["status"] == "CREATE FAILED":
        assert settled["failureReason"]
        life.active("SolutionVersion", life.train_again(solution), seconds=600)
