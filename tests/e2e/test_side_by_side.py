"""A second platform beside the first, on a PostgreSQL of the company's own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from pipelines.platform.clients import Clients
from pipelines.platform.postgres import EmbeddedPostgres
from pipelines.platform.source import dags_folder
from pipelines.settings import Settings
from tests.support.command import Command, free_port

pytestmark = pytest.mark.soak


@dataclass(frozen=True)
class OwnDatabase(Command):
    """`openpersonalize` with OPENPERSONALIZE_DATABASE_URL."""

    database_url: str = ""

    @property
    def env(self) -> dict[str, str]:
        return super().env | {"OPENPERSONALIZE_DATABASE_URL": self.database_url}


@pytest.fixture
def second(postgres: EmbeddedPostgres) -> Iterator[OwnDatabase]:
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE company")
    home = Path(tempfile.mkdtemp(prefix="op-second-"))
    home.chmod(0o755)
    command = OwnDatabase(
        home, control_port=free_port(), runtime_port=free_port(), database_url=postgres.url("company")
    )
    yield command
    command("down")
    shutil.rmtree(home)


def test_two_platforms_do_not_see_each_other(platform: Settings, second: OwnDatabase) -> None:
    started = second("up")
    assert started.returncode == 0, started.stdout + started.stderr

    first_clients, second_clients = Clients.of(platform), Clients.of(Settings.from_env(second.env))
    second_clients.personalize.create_dataset_group(name="only-in-the-second")

    names = [group["name"] for group in first_clients.personalize.list_dataset_groups()["datasetGroups"]]
    assert "only-in-the-second" not in names
    assert "postgres" not in second.status(), "it was given a database, and must not start one"
    with psycopg.connect(second.database_url) as connection:
        assert connection.execute("SELECT count(*) FROM openpersonalize.resources").fetchone() == (1,)
        # One a file, but that of what `apply` declares.
        files = len(list(dags_folder().glob("*.py"))) - 1
        assert connection.execute("SELECT count(*) FROM public.dag").fetchone() == (files,)
