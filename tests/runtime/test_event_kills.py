"""kill -9 of the runtime and of PostgreSQL under load: what was acknowledged is there, and there once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.platform.processes import die_with_parent
from pipelines.registry.database import migrate
from pipelines.settings import TELEMETRY_OFF, Settings
from tests.conftest import platform_settings
from tests.support.delivery import Delivery
from tests.support.runtime import Shop
from tests.support.runtime_servers import REPOSITORY, Server


class Worker:
    """The runtime in a process that can be killed, always on the same port."""

    def __init__(self, settings: Settings) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._env = {**os.environ, **TELEMETRY_OFF, **settings.to_env()}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "uvicorn", "bento.app:create_app", "--factory", "--port", str(self._port)]
        self._process = subprocess.Popen(
            [*command, "--no-access-log", "--log-level", "warning"],
            cwd=REPOSITORY,
            env=self._env,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)


@pytest.fixture
def settings(server: Server, tmp_path: Path) -> Settings:
    server.start()
    settings = platform_settings(tmp_path / "home", server.embedded.url())
    migrate(settings)
    return settings


@pytest.fixture
def worker(settings: Settings) -> Iterator[Worker]:
    worker = Worker(settings)
    worker.start()
    yield worker
    worker.kill()


def test_every_acknowledged_event_is_stored_once(server: Server, settings: Settings, worker: Worker) -> None:
    shop = Shop(settings)
    with Delivery(worker.url, shop.tracking_id) as delivery:
        delivery.go_on(1000)
        worker.kill()
        worker.start()
        delivery.go_on(1000)
        server.kill()
        server.start()
        delivery.go_on(1000)
    stored = Counter(item for (item,) in shop.query("SELECT item_id FROM openpersonalize.events"))
    assert stored == Counter(delivery.acknowledged)
    assert set(stored.values()) == {1} and delivery.again
    shop.close()
