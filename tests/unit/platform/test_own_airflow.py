"""What `--no-airflow` asks of the environment and of the Airflow it finds; with a real one: tests/e2e/test_own_airflow.py."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipelines.platform import airflow_plugin, own_airflow
from pipelines.platform.airflow_client import AirflowClient, AirflowUnavailable
from pipelines.platform.checks import CannotStart
from pipelines.platform.children import beside_an_airflow
from pipelines.platform.clients import endpoints
from pipelines.settings import Settings, SettingsError

URL = "OPENPERSONALIZE_AIRFLOW_URL"
FULL = Settings(
    home=Path("/srv/op"),
    airflow_url="https://airflow.example",
    airflow_user="personalize",
    airflow_password="hush",
    database_url="postgresql://db/op",
)


class TheirAirflow(ThreadingHTTPServer):
    """Answers by method and path; notes what was asked with a body."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, tuple[int, Any]] = {"POST /auth/token": (201, {"access_token": "of a user"})}
        self.asked: list[tuple[str, Any]] = []
        self.tokens: list[str] = []


class Handler(BaseHTTPRequestHandler):
    server: TheirAirflow

    def do_GET(self) -> None:
        asked = f"{self.command} {self.path.removeprefix('/api/v2')}"
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if body:
            self.server.asked.append((asked, json.loads(body)))
        self.server.tokens.append(self.headers.get("Authorization", ""))
        status, answer = self.server.answers.get(asked, (404, {"detail": "not found"}))
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_PATCH = do_GET

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def theirs() -> Iterator[TheirAirflow]:
    server = TheirAirflow()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def settings_of(theirs: TheirAirflow) -> Settings:
    return replace(FULL, airflow_url=f"http://127.0.0.1:{theirs.server_port}")


@pytest.mark.parametrize(
    ("settings", "no_airflow", "said"),
    [
        (FULL, False, "up --no-airflow"),
        (replace(FULL, airflow_url=""), True, URL),
        (replace(FULL, database_url=""), True, "OPENPERSONALIZE_DATABASE_URL"),
        (replace(FULL, airflow_password=""), True, "OPENPERSONALIZE_AIRFLOW_TOKEN_FILE"),
    ],
)
def test_what_is_missing_is_asked_for_by_name(settings: Settings, no_airflow: bool, said: str) -> None:
    with pytest.raises(CannotStart, match=said):
        own_airflow.check_mode(settings, no_airflow=no_airflow)


def test_settings_of_another_airflow_reach_children_and_clients() -> None:
    own_airflow.check_mode(FULL, no_airflow=True)
    assert [child.name for child in beside_an_airflow(FULL, "m")] == ["registry-schema", "reconciler", "runtime"]
    assert all(child.env[URL] == "https://airflow.example" for child in beside_an_airflow(FULL, "m"))
    assert endpoints(FULL)["personalize"] == "https://airflow.example/personalize"
    assert "hush" not in repr(FULL)
    with pytest.raises(SettingsError, match=URL):
        Settings.from_env({URL: "airflow.example"})
    with pytest.raises(SettingsError, match="set OPENPERSONALIZE_DVC_REMOTE too"):
        Settings.from_env({"OPENPERSONALIZE_GIT_REMOTE": "git@git.example:tags.git"})


def test_it_signs_in_as_the_given_user_or_with_the_token_of_a_file(
    theirs: TheirAirflow, settings_of: Settings, tmp_path: Path
) -> None:
    theirs.answers["GET /pools?limit=1"] = (200, {"pools": []})
    AirflowClient(settings_of).check_access()
    assert theirs.asked == [("POST /auth/token", {"username": "personalize", "password": "hush"})]
    token = tmp_path / "token"
    token.write_text("of a file\n")
    AirflowClient(replace(settings_of, airflow_token_file=str(token))).check_access()
    assert theirs.tokens[-1] == "Bearer of a file"


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (
            {"POST /auth/token": (401, {"detail": "Invalid credentials"})},
            "does not let personalize sign in: .*401 Invalid",
        ),
        ({"GET /pools?limit=1": (403, {"detail": "Forbidden"})}, "cannot be used: Airflow answers 403"),
        ({"GET /monitor/health": (404, {})}, "is that an Airflow 3"),
    ],
)
def test_an_airflow_that_cannot_be_used_is_refused_at_once(
    theirs: TheirAirflow, settings_of: Settings, answers: dict[str, tuple[int, Any]], said: str
) -> None:
    theirs.answers |= {"GET /monitor/health": (200, {}), "GET /pools?limit=1": (200, {})} | answers
    with pytest.raises(CannotStart, match=said):
        own_airflow.check_reachable(settings_of)


def test_new_dags_are_let_run_and_those_that_somebody_paused_are_not(
    theirs: TheirAirflow, settings_of: Settings
) -> None:
    theirs.answers |= {
        "GET /dags/new": (200, {"is_paused": True}),
        "GET /dags/new/dagRuns?limit=1": (200, {"dag_runs": []}),
        "PATCH /dags/new": (200, {}),
        "GET /dags/stopped": (200, {"is_paused": True}),
        "GET /dags/stopped/dagRuns?limit=1": (200, {"dag_runs": [{}]}),
        "GET /dags/running": (200, {"is_paused": False}),
    }
    assert AirflowClient(settings_of).admit(["new", "stopped", "running", "missing"]) == ["missing"]
    assert [asked for asked in theirs.asked if asked[0] != "POST /auth/token"] == [
        ("PATCH /dags/new", {"is_paused": False})
    ]


def test_only_runs_of_ours_are_stopped(theirs: TheirAirflow, settings_of: Settings) -> None:
    living = "dagRuns?state=queued&state=running&limit=100"
    theirs.answers |= {
        "GET /dags?tags=openpersonalize&limit=100": (200, {"dags": [{"dag_id": "ours"}]}),
        f"GET /dags/ours/{living}": (200, {"dag_runs": []}),
    }
    assert AirflowClient(settings_of).stop_all_runs() == 0


def test_a_pool_that_is_there_keeps_its_size(theirs: TheirAirflow, settings_of: Settings) -> None:
    theirs.answers["POST /pools"] = (409, {})
    AirflowClient(settings_of).create_pool("memory", 5)
    assert [asked for asked, _ in theirs.asked] == ["POST /auth/token", "POST /pools"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": "0.0.9"}, "the version .* is 0.0.9, here it is .*: install the same wheel"),
        ({"database": "another"}, "OPENPERSONALIZE_DATABASE_URL must lead to the same one"),
        ({"account_id": "210987654321"}, "OPENPERSONALIZE_ACCOUNT_ID"),
        ({"keys": ""}, "is not set, here it is .*: set OPENPERSONALIZE_KEYS_SECRET to the same value in both places"),
        ({"problem": "connection refused"}, "cannot work: connection refused"),
    ],
)
def test_two_parts_that_disagree_are_told_about_what(
    settings: Settings, theirs: TheirAirflow, settings_of: Settings, change: dict[str, str], said: str
) -> None:
    ours = replace(settings, airflow_url=settings_of.airflow_url)
    theirs.answers["GET /personalize/about/"] = (200, own_airflow.about(ours) | change)
    with pytest.raises(AirflowUnavailable, match=said):
        own_airflow.agree(ours)


def test_an_airflow_without_the_plugin_is_told_how_to_get_it(settings_of: Settings) -> None:
    with pytest.raises(AirflowUnavailable, match=r"runs without the control plane .*: install openpersonalize"):
        own_airflow.agree(settings_of)


def test_a_process_without_a_database_says_which_variable_it_lacks() -> None:
    assert "OPENPERSONALIZE_DATABASE_URL is not set" in own_airflow.about(Settings(home=Path("/srv/op")))["problem"]


def test_the_entry_point_gives_nothing_where_a_plugins_folder_has_brought_the_plugin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, airflow_plugin.FILE, ModuleType(airflow_plugin.FILE))
    assert airflow_plugin.OpenPersonalizePlugin is None
