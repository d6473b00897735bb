"""The page with an import's report: behind Airflow's own login, one folder below the home and nothing beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from pipelines.settings import Settings
from plugins.control_plane.reports import ReportsApp

JOB = "0123456789abcdef"


@pytest.fixture(scope="module")
def log_in() -> Iterator[Callable[[str], dict[str, str]]]:
    """`log_in(role)`: the headers of a user of Airflow's simple auth manager; Airflow's tables are there, and empty."""
    from airflow import settings as airflow
    from airflow.api_fastapi.app import init_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.models import import_all_models
    from airflow.models.base import Base

    import_all_models()
    Base.metadata.create_all(airflow.get_engine())
    manager = init_auth_manager()
    yield lambda role: {"Cookie": f"_token={manager.generate_jwt(SimpleAuthManagerUser(username=role, role=role))}"}
    Base.metadata.drop_all(airflow.get_engine())


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    """The app as the plugin mounts it, with one import whose report says `verdict`."""
    settings = Settings(home=tmp_path)
    folder = settings.imports_dir / JOB
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("<p>verdict</p>")
    (folder / "rejects.parquet").write_bytes(b"PAR1")
    (folder / "work").mkdir()
    (settings.home / "report.html").write_text("not an import's")
    airflow = FastAPI()
    airflow.mount("/personalize/imports", ReportsApp(settings))
    return TestClient(airflow)


def get(client: TestClient, path: str, headers: dict[str, str] | None = None) -> Any:
    return client.get(f"/personalize/imports/{path}", headers=headers or {})


def test_who_may_see_the_dag_reads_the_report_and_may_load_nothing_by_it(client: TestClient, log_in: Any) -> None:
    answer = get(client, f"{JOB}/report", log_in("viewer"))
    assert (answer.status_code, answer.text) == (200, "<p>verdict</p>")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "no-store" in answer.headers["cache-control"]


def test_the_rejects_come_as_a_file_with_the_jobs_name(client: TestClient, log_in: Any) -> None:
    answer = get(client, f"{JOB}/rejects.parquet", log_in("viewer"))
    assert (answer.status_code, answer.content) == (200, b"PAR1")
    assert f'filename="rejects-{JOB}.parquet"' in answer.headers["content-disposition"]


@pytest.mark.parametrize("path", [f"{JOB}/report", f"{JOB}/rejects.parquet", "0000000000000000/report"])
def test_nobody_else_learns_anything(client: TestClient, log_in: Any, path: str) -> None:
    assert get(client, path).status_code == 401
    assert get(client, path, {"Cookie": "_token=made.up.token"}).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "0000000000000000/report",
        "../report",
        "..%2f/report",
        "%2e%2e/report",
        f"..%2fimports%2f{JOB}/report",
        f"{JOB}%00/report",
        f"{JOB}/work",
        f"{JOB}/../../report.html",
        f"{JOB.upper()}/report",
        f"{JOB}%0a/report",
        "report",
    ],
)
def test_only_a_finished_jobs_own_files_are_there(client: TestClient, log_in: Any, path: str) -> None:
    assert get(client, path, log_in("admin")).status_code == 404
