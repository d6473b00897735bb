"""One user with a 32-character id goes everywhere on a real platform, is deleted, and is then found nowhere."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pipelines.platform.clients import Clients
from pipelines.platform.postgres import EmbeddedPostgres
from pipelines.settings import Settings
from tests.support import shop
from tests.support.life import ROLE, Life, wait_for
from tests.support.searching import dumped_with, files_with, objects_with

pytestmark = [pytest.mark.e2e, pytest.mark.soak]

PLANTED = uuid.uuid5(uuid.NAMESPACE_DNS, "planted").hex
ONLY_THEIRS = "an-item-that-only-they-know"


@dataclass
class World:
    life: Life
    settings: Settings
    idle: str
    """A version that no campaign serves."""
    served: str
    campaign: str
    tracking_id: str

    def find(self) -> list[str]:
        """Everything under the home but the customer's own files, the database's files after VACUUM FULL included."""
        home, url = self.settings.home, self.settings.database_url
        dumped = dumped_with(PLANTED, url)
        data = EmbeddedPostgres.for_home(home).cluster.data
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
        besides = [home / "data", data / "pg_wal"]
        return [*dumped, *objects_with(PLANTED, home), *files_with(PLANTED, home, besides), *_raw(data)]

    def recommend(self, user: str) -> list[dict[str, Any]]:
        answer = self.life.clients.runtime.get_recommendations(campaignArn=self.campaign, userId=user, numResults=500)
        items: list[dict[str, Any]] = answer["itemList"]
        return items


def _raw(data: Path) -> list[str]:
    """Files of the cluster, which may lie outside of the home, less the log."""
    return files_with(PLANTED, data, [data / "pg_wal"])


@pytest.fixture(scope="module")
def world(platform: Settings) -> World:
    life = Life(Clients.of(platform), "forgetting")
    life.group()
    files = shop.write(platform.home / "data" / "forgetting")
    with files["INTERACTIONS"].open("a") as rows:
        rows.writelines(f"{PLANTED},{item},watch,{1_600_100_000 + n}\n" for n, item in enumerate(_items()))
    with files["USERS"].open("a") as rows:
        rows.write(f"{PLANTED},F\n")
    life.import_all(files)
    again = life.start_import("INTERACTIONS", files["INTERACTIONS"], "forgetting-again")
    life.active("DatasetImportJob", again)
    # Its rejects, its report and its failureReason quote the user.
    bad = platform.home / "data" / "forgetting" / "bad.csv"
    bad.write_text("USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n" + f"{PLANTED},i1,watch,yesterday {PLANTED}\n" * 2000)
    job = life.final("DatasetImportJob", life.start_import("INTERACTIONS", bad, "forgetting-bad"))
    assert job["status"] == "CREATE FAILED"
    tracking_id = life.tracker()
    for item in ("i1", "i2", ONLY_THEIRS):
        life.send(tracking_id, PLANTED, item)
    anonymous = [{"eventType": "watch", "itemId": "i3", "sentAt": int(time.time())}]
    life.clients.events.put_events(trackingId=tracking_id, sessionId=f"session-{PLANTED}", eventList=anonymous)
    dataset = life.dataset("USERS")
    users = [{"userId": PLANTED, "properties": '{"gender": "F"}'}]
    life.clients.events.put_users(datasetArn=dataset, users=users)
    versions = [
        life.start_training("user-personalization", name, hidden_dimension="32")
        for name in ("forgetting-idle", "forgetting-served")
    ]
    for version in versions:
        life.active("SolutionVersion", version)
    campaign = life.deploy("forgetting", versions[1])
    return World(life, platform, versions[0], versions[1], campaign, tracking_id)


def _items() -> list[str]:
    return [f"i{n}" for n in range(29)] + [ONLY_THEIRS]


def test_a_deleted_user_is_found_nowhere_and_nobody_else_notices(world: World) -> None:
    life, personalize = world.life, world.life.clients.personalize
    assert ONLY_THEIRS in {item["itemId"] for item in world.recommend("u1")}
    assert world.recommend(PLANTED) != world.recommend("somebody unknown")
    wait_for(
        "what was answered to be recorded",
        lambda: any("served" in line for line in dumped_with(PLANTED, world.settings.database_url)),
    )
    before = " ".join(world.find())
    for place in ("/cache/files", "/remote/", "/bentoml/models/", "/imports/", "/logs/", "INSERT INTO"):
        assert place in before, f"the searcher must find the user in {place} first: {before}"

    listed = world.settings.home / "data" / "gone" / "below" / "users.csv"
    listed.parent.mkdir(parents=True)
    listed.write_text(f"User_Id\n{PLANTED}\n")
    arn = personalize.create_data_deletion_job(
        jobName="forgetting",
        datasetGroupArn=life.clients.arn("dataset-group", life.name),
        dataSource={"dataLocation": (world.settings.home / "data" / "gone").as_uri() + "/"},
        roleArn=ROLE,
    )["dataDeletionJobArn"]

    def ended() -> dict[str, Any] | None:
        assert len(world.recommend("u1")) >= 100  # while workers swap: answered, every time
        found: dict[str, Any] = personalize.describe_data_deletion_job(dataDeletionJobArn=arn)["dataDeletionJob"]
        return found if found["status"] in ("COMPLETED", "FAILED") else None

    begun = time.monotonic()
    job = wait_for("the deletion", ended, seconds=600)
    print(f"deleted in {time.monotonic() - begun:.0f} s: {job}")
    assert job["status"] == "COMPLETED", job
    # 30 interactions, 4 events, the user's row and the user's record.
    assert job["numDeleted"] == 36
    assert ONLY_THEIRS not in {item["itemId"] for item in world.recommend("u1")}
    assert world.recommend(PLANTED) == world.recommend("somebody unknown")
    with pytest.raises(personalize.exceptions.InvalidInputException, match="create a new solution version"):
        personalize.create_campaign(name="too-late", solutionVersionArn=world.idle)

    life.active("SolutionVersion", life.train_again(world.served.rsplit("/", 1)[0]))
    # The two questions above made the runtime record whom it answered: that was after the deletion.
    with psycopg.connect(world.settings.database_url, autocommit=True) as connection:
        connection.execute("DELETE FROM openpersonalize.served WHERE user_id = %s", [PLANTED])
    assert world.find() == []
