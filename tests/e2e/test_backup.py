"""Backup, wipe, restore on a real platform: the same keys, the same answers, the same scores, and it goes on learning."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pipelines.platform.clients import Clients
from pipelines.platform.terminal import with_database
from pipelines.settings import Settings
from tests.support import shop
from tests.support.command import Command, free_port, leftovers
from tests.support.life import Life, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.soak]

ASKED = ["u1", "u2", "u3", "clicks now", "nobody knows"]


@pytest.fixture
def command() -> Iterator[Command]:
    """A home of its own: this one is wiped."""
    home = Path(tempfile.mkdtemp(prefix="op-backup-"))
    home.chmod(0o755)
    made = Command(home, control_port=free_port(), runtime_port=free_port())
    yield made
    made("down")
    shutil.rmtree(home)


def start(command: Command) -> None:
    """`up`, a few times on a busy machine: what is not healthy in time goes on starting."""
    for _ in range(4):
        started = command("up")
        if started.returncode == 0:
            return
    raise AssertionError(started.stdout + started.stderr)


def life_of(command: Command) -> tuple[Settings, Life]:
    settings = with_database(Settings.from_env(command.env))
    return settings, Life(Clients.of(settings), "care")


def answers(life: Life, campaign: str) -> dict[str, list[dict[str, Any]]]:
    asked = {"campaignArn": campaign, "numResults": 500}
    return {user: life.clients.runtime.get_recommendations(**asked, userId=user)["itemList"] for user in ASKED}


@dataclass
class Traffic:
    """Clients that send events and ask for lists, one after the other, until told to stop."""

    life: Life
    campaign: str
    tracking_id: str
    sent: list[str] = field(default_factory=list)
    """Ids of events that were answered with 200."""
    failed: list[Exception] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        number = 0
        while not self._stopped.is_set():
            number += 1
            event = {"eventId": f"busy-{number}", "eventType": "watch", "itemId": f"i{number % 100}", "sentAt": number}
            try:
                self.life.clients.events.put_events(
                    trackingId=self.tracking_id, userId=f"busy-{number % 9}", sessionId="s", eventList=[event]
                )
                self.sent.append(f"busy-{number}")
                self.life.clients.runtime.get_recommendations(campaignArn=self.campaign, userId=f"busy-{number % 9}")
            except Exception as error:  # noqa: BLE001 (looked at by the test)
                self.failed.append(error)

    def __enter__(self) -> Traffic:
        self._thread = threading.Thread(target=self.run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()


def test_backup_wipe_restore(command: Command, tmp_path: Path) -> None:
    start(command)
    settings, life = life_of(command)
    keys = settings.access_keys
    life.group()
    life.import_all(shop.write(settings.home / "data" / "care"))
    version = life.start_training("user-personalization", hidden_dimension="32")
    life.active("SolutionVersion", version, seconds=1200)
    campaign, tracking_id = life.deploy("care", version), life.tracker()
    for item in ("i1", "i2", "i60"):
        life.send(tracking_id, "clicks now", item)
    before = answers(life, campaign)
    assert before["clicks now"] != before["nobody knows"]
    running = life.train_again(version.rsplit("/", 1)[0])
    file = tmp_path / "backup.tar"

    with Traffic(life, campaign, tracking_id) as traffic:
        wait_for("traffic", lambda: len(traffic.sent) > 20)
        acknowledged = list(traffic.sent)
        saved = command("backup", str(file))
        during = len(traffic.sent) - len(acknowledged)
    assert saved.returncode == 0, saved.stdout + saved.stderr
    assert traffic.failed == [] and during > 0
    print(f"{saved.stdout.strip()}; {during} events and lists meanwhile")
    assert answers(life, campaign) == before

    assert command("down").returncode == 0
    assert leftovers(settings) == []
    for path in settings.home.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    refused = command("restore", str(tmp_path / "no such file"))
    assert refused.returncode == 1 and refused.stderr.count("\n") == 1, refused.stderr
    restored = command("restore", str(file))
    assert restored.returncode == 0, restored.stdout + restored.stderr
    print(restored.stdout.strip())
    start(command)
    # The keys of before still sign.
    assert settings.access_keys == keys
    wait_for("the campaign's workers", lambda: _answers(life, campaign))
    assert answers(life, campaign) == before
    with psycopg.connect(settings.database_url) as database:
        there = {id for (id,) in database.execute("SELECT event_id FROM openpersonalize.events")}
    assert set(acknowledged) <= there
    # What was being trained begins anew, and what comes from now on is learned from.
    life.active("SolutionVersion", running, seconds=1200)
    life.send(tracking_id, "clicks now", "i61")
    assert answers(life, campaign)["clicks now"] != before["clicks now"]
    life.active("SolutionVersion", life.train_again(version.rsplit("/", 1)[0]), seconds=1200)
    assert command("backup", str(file)).returncode == 0


def _answers(life: Life, campaign: str) -> bool:
    try:
        answers(life, campaign)
    except Exception:  # noqa: BLE001 (the workers load the version; any answer but an error is one)
        return False
    return True
