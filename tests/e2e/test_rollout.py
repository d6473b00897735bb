"""A version that measures worse waits for a person in a real Airflow, rolls out when approved, and is rolled back."""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.platform.airflow_client import SUCCESS, AirflowClient
from pipelines.platform.clients import Clients
from pipelines.platform.questions import APPROVE, DAG_ID, TASK_ID
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.settings import Settings
from tests.support import shop
from tests.support.life import Life, wait_for

pytestmark = pytest.mark.soak


@dataclass
class Held:
    """A campaign that follows, the version that it serves, and a newer one that learned noise."""

    life: Life
    airflow: AirflowClient
    campaign: str
    good: str
    bad: str
    run: str
    settings: Settings

    def served(self) -> str:
        """The ARN of the version that the campaign serves."""
        arn: str = self.life.active("Campaign", self.campaign)["solutionVersionArn"]
        return arn

    def decision(self) -> str | None:
        with transaction(self.settings) as conn:
            version = store.get(conn, arn=self.bad)
        assert version is not None
        return (version.internal["held"]["decision"] or {}).get("choice")


def noise(given: Path) -> Path:
    """The same interactions, each with an item that means nothing."""
    rng, path = random.Random(1), given.with_name("noise.csv")
    rows = list(csv.DictReader(given.open()))
    items = sorted({row["ITEM_ID"] for row in rows})
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "ITEM_ID": rng.choice(items)} for row in rows)
    return path


@pytest.fixture(scope="module")
def held(platform: Settings) -> Held:
    life = Life(Clients.of(platform), "rollout")
    life.group()
    files = shop.write(platform.home / "data" / "rollout")
    life.import_all(files)
    good = life.start_training("user-personalization", hidden_dimension="32")
    life.active("SolutionVersion", good)
    solution = good.rpartition("/")[0]
    campaign = life.clients.personalize.create_campaign(
        name="rollout",
        solutionVersionArn=f"{solution}/$LATEST",
        campaignConfig={"syncWithLatestSolutionVersion": True},
    )["campaignArn"]
    life.active("Campaign", campaign)
    life.active("DatasetImportJob", life.start_import("INTERACTIONS", noise(files["INTERACTIONS"]), "rollout-noise"))
    bad = life.train_again(solution)
    life.active("SolutionVersion", bad)
    with transaction(platform) as conn:
        version = store.get(conn, arn=bad)
    assert version is not None
    run = f"{version.name.replace('/', '.')}.{version.id}"
    return Held(life, AirflowClient(platform), campaign, good, bad, run, platform)


def test_it_waits_rolls_out_when_approved_and_is_rolled_back(held: Held) -> None:
    def waits() -> bool:
        question = held.airflow.question(DAG_ID, held.run, TASK_ID)
        return question is not None and question.waits

    wait_for("the question", waits)
    assert (held.served(), held.decision()) == (held.good, None)
    held.airflow.answer(DAG_ID, held.run, TASK_ID, APPROVE)
    wait_for("the campaign's move", lambda: held.served() == held.bad)
    wait_for("the decision", held.decision)
    assert held.decision() == "approved"

    request = {"campaign_arn": held.campaign, "solution_version_arn": held.good}
    held.airflow.trigger("campaign_deployment", "back", request)
    wait_for("the run", lambda: held.airflow.state("campaign_deployment", "back") == SUCCESS)
    assert held.served() == held.good
