"""From a task in Airflow to the report of its import, and the same on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psycopg
import pytest

from pipelines.platform.clients import Clients
from pipelines.platform.credentials import ADMIN, passwords_file
from pipelines.platform.files import read_json
from pipelines.platform.local_http import ask
from pipelines.settings import Settings
from tests.support.command import Command
from tests.support.imports import interactions, text
from tests.support.life import Life

pytestmark = pytest.mark.e2e


@dataclass
class Job:
    """An import that went in with a warning: one row of it was rejected."""

    id: str
    base: str
    token: str

    def links(self, task: str) -> dict[str, str]:
        """The links that Airflow's UI shows on a task."""
        path = f"dags/dataset_import/dagRuns/reports-interactions.{self.id}/taskInstances/{task}/links"
        answer = ask(f"{self.base}/api/v2/{path}", headers={"Authorization": f"Bearer {self.token}"})
        assert answer.status == 200, answer
        links: dict[str, str] = answer.body["extra_links"]
        return links


@pytest.fixture(scope="module")
def job(platform: Settings) -> Job:
    life = Life(Clients.of(platform), "reports")
    life.group()
    file = platform.home / "data" / "reports.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text([*interactions(), "u1,i1,soon,watch,1"]))
    life.active("DatasetImportJob", life.start_import("INTERACTIONS", file))
    with psycopg.connect(platform.database_url) as connection:
        query = (
            "SELECT id FROM openpersonalize.resources WHERE kind = 'DatasetImportJob' AND name = 'reports-interactions'"
        )
        [(id,)] = connection.execute(query).fetchall()
    base = f"http://127.0.0.1:{platform.control_port}"
    passwords = read_json(passwords_file(platform))
    assert isinstance(passwords, dict)
    login = ask(f"{base}/auth/token", {"username": ADMIN, "password": passwords[ADMIN]}, method="POST")
    return Job(id, base, login.body["access_token"])


def test_the_report_is_one_click_from_its_tasks_for_who_is_logged_in(job: Job) -> None:
    url = f"{job.base}/personalize/imports/{job.id}/report"
    assert job.links("check") == job.links("load") == {"Import report": url}
    page = urlopen(Request(url, headers={"Cookie": f"_token={job.token}"}), timeout=30)
    assert "Imported, with" in page.read().decode()
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    with pytest.raises(HTTPError, match="401"):
        urlopen(url, timeout=30)


def test_the_command_prints_the_same_verdict_and_the_rejects(job: Job, command: Command) -> None:
    shown = command("report", "reports-interactions")
    assert shown.returncode == 0, shown.stderr
    assert "1,201 rows in the files: 1,200 good, 1 rejected" in shown.stdout
    assert "TIMESTAMP 'soon' is not a whole number" in shown.stdout
    assert "reports.csv,1202,line,TIMESTAMP,soon," in command("report", "--rejects", job.id).stdout
    assert command("report", "nothing").returncode == 1


def test_rules_are_set_from_the_command_line(job: Job, command: Command) -> None:
    done = command("checks", "reports", "--set", "rejected rows=critical,..5%")
    assert "at most 5 %   (by default critical, at most 1 %)" in done.stdout, done.stderr
    assert command("checks", "reports", "--set", "reject rows=off").returncode == 1
