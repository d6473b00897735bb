"""The platform in an Airflow that was installed and started separately: from the wheel alone, without a shared disk.

Airflow's processes, tasks and the control plane have one home, runtime and reconciler another; between them are the
database, the DVC remote and the Git remote.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from pipelines.platform.airflow_client import AirflowClient
from pipelines.platform.clients import Clients
from pipelines.platform.postgres import EmbeddedPostgres
from pipelines.settings import Settings
from tests.conftest import ACCESS_KEY_ID, SECRET_ACCESS_KEY, execute
from tests.support import shop
from tests.support.command import free_port
from tests.support.life import Life
from tests.support.own_airflow import PASSWORD, USER, OwnAirflow, install_wheel

pytestmark = [pytest.mark.e2e, pytest.mark.soak]

PATIENCE = 1200.0
"""Seconds for a job: Airflow's own defaults, unlike ours, are made for a machine of its own."""


@dataclass
class Company:
    """A company's Airflow, and our part beside it."""

    airflow: OwnAirflow
    here: dict[str, str]
    """Environment of `openpersonalize`."""

    @property
    def settings(self) -> Settings:
        return Settings.from_env(self.here)

    def __call__(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """`openpersonalize` of the wheel."""
        given = {key: value for key, value in self.airflow.env.items() if not key.startswith("OPENPERSONALIZE_")}
        return subprocess.run(
            [self.airflow.bin / "openpersonalize", *arguments],
            env=given | self.here | env,
            cwd=self.airflow.folder,
            capture_output=True,
            text=True,
            timeout=700,
            check=False,
        )


@pytest.fixture(scope="module")
def company(postgres: EmbeddedPostgres) -> Iterator[Company]:
    root = Path(tempfile.mkdtemp(prefix="op-own-"))
    for name in ("airflow_of_theirs", "personalize_of_theirs"):
        execute(postgres, f"CREATE DATABASE {name}")
    shared = {
        "OPENPERSONALIZE_DATABASE_URL": postgres.url("personalize_of_theirs"),
        "OPENPERSONALIZE_DVC_REMOTE": str(root / "dvc"),
        "OPENPERSONALIZE_GIT_REMOTE": str(root / "tags.git"),
        "OPENPERSONALIZE_ACCESS_KEYS": f"{ACCESS_KEY_ID}:{SECRET_ACCESS_KEY}",
        "OPENPERSONALIZE_KEYS_SECRET": "not-a-secret-of-the-harness-either",
    }
    there = {"OPENPERSONALIZE_HOME": str(root / "worker"), "OPENPERSONALIZE_IMPORT_ROOTS": str(root / "data")}
    database = postgres.url("airflow_of_theirs").replace("postgresql://", "postgresql+psycopg2://")
    airflow = OwnAirflow(install_wheel(root), root / "airflow", database, shared | there)
    here = {
        "OPENPERSONALIZE_HOME": str(root / "here"),
        "OPENPERSONALIZE_RUNTIME_PORT": str(free_port()),
        "OPENPERSONALIZE_AIRFLOW_URL": airflow.url,
        "OPENPERSONALIZE_AIRFLOW_USER": USER,
        "OPENPERSONALIZE_AIRFLOW_PASSWORD": PASSWORD,
    }
    made = Company(airflow, shared | here)
    (root / "airflow").mkdir()
    with airflow.running():
        yield made
        made("down")
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def up(company: Company) -> Company:
    started = company("up", "--no-airflow", "--timeout", "600")
    assert started.returncode == 0, started.stdout + started.stderr
    assert f"Airflow        {company.airflow.url} (your own)" in started.stdout
    return company


def test_what_cannot_work_is_said_in_one_line(company: Company) -> None:
    for env, said in (
        ({"OPENPERSONALIZE_AIRFLOW_PASSWORD": "wrong"}, f"does not let {USER} sign in"),
        (
            {"OPENPERSONALIZE_AIRFLOW_URL": f"http://127.0.0.1:{free_port()}"},
            "no answer (Connection refused): start it",
        ),
        ({"OPENPERSONALIZE_DATABASE_URL": ""}, "needs OPENPERSONALIZE_DATABASE_URL"),
    ):
        refused = company("up", "--no-airflow", **env)
        assert refused.returncode == 1
        assert said in refused.stderr
        assert len(refused.stderr.splitlines()) == 1, refused.stderr


def test_only_what_is_missing_is_started(up: Company) -> None:
    shown = up("status")
    assert shown.returncode == 0, shown.stdout
    names = [line.split()[0] for line in shown.stdout.splitlines()[1:]]
    assert names == ["supervisor", "registry-schema", "reconciler", "runtime", "airflow", "control"]


def test_a_key_that_is_made_here_is_known_there(up: Company) -> None:
    added = up("keys", "add", "theirs", "--role", "read-only")
    assert added.returncode == 0, added.stderr
    shown = dict(line.removeprefix("export ").split("=", 1) for line in added.stdout.splitlines())
    pair = f"{shown['AWS_ACCESS_KEY_ID']}:{shown['AWS_SECRET_ACCESS_KEY']}"
    theirs = Clients.of(replace(up.settings, given_access_keys=pair)).personalize
    assert theirs.list_recipes(maxResults=1)["recipes"]
    with pytest.raises(ClientError, match="not authorized to perform: personalize:CreateDatasetGroup"):
        theirs.create_dataset_group(name="not-theirs")


def test_from_interactions_to_recommendations(up: Company) -> None:
    life = Life(Clients.of(up.settings), "theirs")
    life.group()
    data = up.airflow.folder.parent / "data"
    for job in [life.start_import(kind, path) for kind, path in shop.write(data).items()]:
        life.active("DatasetImportJob", job, seconds=PATIENCE)
    version = life.start_training("user-personalization", hidden_dimension="32")
    life.active("SolutionVersion", version, seconds=PATIENCE)
    campaign = life.deploy("theirs", version)
    items = life.clients.runtime.get_recommendations(campaignArn=campaign, userId="u1", numResults=500)["itemList"]
    assert len(items) == 100
    assert all(0 <= item["score"] <= 1 for item in items)
    report = up("report")
    assert report.returncode == 0, report.stderr
    assert "rows in the files" in report.stdout


def test_no_home_has_what_only_the_remotes_should_have(up: Company) -> None:
    worker, here = (Path(env["OPENPERSONALIZE_HOME"]) for env in (up.airflow.platform, up.here))
    assert not list((worker / "groups").glob("*/cache")), "data stays with no worker after its last job"
    assert not list((worker / "bentoml" / "models").glob("*")), "the runtime's machine makes what it serves"
    assert list((here / "bentoml" / "models").glob("*/*"))


def test_reset_leaves_the_runs_of_their_dags_alone(up: Company) -> None:
    client = AirflowClient(up.settings)
    client.trigger("theirs", "theirs-1", {})
    done = up("reset", "--yes")
    assert done.returncode == 0, done.stderr
    assert client.state("theirs", "theirs-1") == "queued", "it is paused, so it waits"
