"""The REST client against a local server that behaves as Airflow's does; the real one is in the end-to-end test."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pipelines.platform.airflow_client import AirflowClient, AirflowRefused, AirflowUnavailable, Question
from pipelines.platform.credentials import ensure_credentials
from pipelines.settings import Settings

DAG_RUNS = "/api/v2/dags/solution_version/dagRuns"
QUESTION = f"{DAG_RUNS}/r1/taskInstances/approve/-1/hitlDetails"


class FakeAirflow(ThreadingHTTPServer):
    """Tokens, DAG runs and pools in memory."""

    def __init__(self, password: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.password = password
        self.tokens: list[str] = []
        self.valid: set[str] = set()
        self.runs: dict[str, dict[str, Any]] = {}
        self.pools: dict[str, dict[str, Any]] = {}
        self.question: dict[str, Any] = {}
        self.refuse: int | None = None


class Handler(BaseHTTPRequestHandler):
    server: FakeAirflow

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""

    def _body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")

    def _send(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _allowed(self) -> bool:
        if self.headers.get("Authorization", "").removeprefix("Bearer ") in self.server.valid:
            return True
        self._body()
        self._send(401, {"detail": "Invalid or expired token"})
        return False

    def do_POST(self) -> None:
        if self.path == "/auth/token":
            right = self._body() == {"username": "admin", "password": self.server.password}
            token = f"t{len(self.server.tokens)}"
            if right:
                self.server.tokens.append(token)
                self.server.valid.add(token)
            return self._send(201 if right else 401, {"access_token": token} if right else {"detail": "no"})
        if not self._allowed():
            return None
        body = self._body()
        if self.server.refuse:
            return self._send(self.server.refuse, {"detail": "because"})
        if self.path == "/api/v2/pools":
            known = body["name"] in self.server.pools
            self.server.pools.setdefault(body["name"], body)
            return self._send(409 if known else 201, body)
        if body["dag_run_id"] in self.server.runs:
            return self._send(409, {"detail": "exists"})
        assert body["logical_date"] is None
        self.server.runs[body["dag_run_id"]] = {**body, "dag_id": "solution_version", "state": "queued"}
        return self._send(200, self.server.runs[body["dag_run_id"]])

    def do_GET(self) -> None:
        if not self._allowed():
            return None
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        if path == "/api/v2/dags/~/dagRuns":
            runs = [run for run in self.server.runs.values() if run["state"] in query["state"]]
            return self._send(200, {"dag_runs": runs[:1]})
        if path == QUESTION:
            asked = self.server.question
            return self._send(200, asked) if asked else self._send(404, {"detail": "not found"})
        run = self.server.runs.get(path.removeprefix(DAG_RUNS + "/"))
        return self._send(200, run) if run else self._send(404, {"detail": "not found"})

    def do_PATCH(self) -> None:
        if not self._allowed():
            return None
        body = self._body()
        if self.path.startswith("/api/v2/pools/"):
            self.server.pools[body["name"]] = body
            return self._send(200, body)
        if self.path == QUESTION and self.server.question:
            if self.server.question["response_received"]:
                return self._send(409, {"detail": "answered"})
            self.server.question |= {**body, "response_received": True, "responded_by_user": {"name": "admin"}}
            self.server.question["task_instance"] = {"state": "success"}
            return self._send(200, self.server.question)
        run = self.server.runs.get(self.path.removeprefix(DAG_RUNS + "/"))
        if run is None:
            return self._send(404, {"detail": "not found"})
        run["state"] = body["state"]
        return self._send(200, run)


@pytest.fixture
def airflow(tmp_path: Path) -> Iterator[FakeAirflow]:
    server = FakeAirflow(ensure_credentials(Settings(home=tmp_path)).admin_password)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(airflow: FakeAirflow, tmp_path: Path) -> AirflowClient:
    return AirflowClient(Settings(home=tmp_path, control_port=airflow.server_port))


def test_a_run_is_started_once_with_its_conf(airflow: FakeAirflow, client: AirflowClient) -> None:
    client.trigger("solution_version", "taste.0001", {"resource_id": "x"})
    client.trigger("solution_version", "taste.0001", {"resource_id": "x"})
    assert airflow.runs["taste.0001"]["conf"] == {"resource_id": "x"}
    assert client.state("solution_version", "taste.0001") == "queued"
    assert len(airflow.tokens) == 1


def test_a_run_that_is_not_there_has_no_state_and_is_stopped_already(client: AirflowClient) -> None:
    assert client.state("solution_version", "none") is None
    client.stop("solution_version", "none")


def test_a_question_is_looked_at_and_answered_once(airflow: FakeAirflow, client: AirflowClient) -> None:
    asked = ("solution_version", "r1", "approve")
    assert client.question(*asked) is None
    client.answer(*asked, "Reject")  # gone, which is fine
    airflow.question = {"response_received": False, "task_instance": {"state": "awaiting_input"}}
    assert client.question(*asked) == Question(waits=True, chosen=None, by=None)
    client.answer(*asked, "Approve")
    client.answer(*asked, "Reject")  # too late
    assert client.question(*asked) == Question(waits=False, chosen="Approve", by="admin")


def test_a_token_that_is_no_longer_taken_is_replaced(airflow: FakeAirflow, client: AirflowClient) -> None:
    client.trigger("solution_version", "r1", {})
    airflow.valid.clear()
    assert client.state("solution_version", "r1") == "queued"
    assert len(airflow.tokens) == 2


def test_a_wrong_password_is_said_and_not_tried_for_ever(airflow: FakeAirflow, client: AirflowClient) -> None:
    airflow.password = "another"
    with pytest.raises(AirflowUnavailable, match="401"):
        client.state("solution_version", "r1")


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, AirflowRefused), (422, AirflowRefused), (404, AirflowUnavailable), (500, AirflowUnavailable)],
)
def test_a_refusal_for_good_is_told_from_one_for_now(
    airflow: FakeAirflow, client: AirflowClient, status: int, error: type[Exception]
) -> None:
    airflow.refuse = status
    with pytest.raises(error, match="because"):
        client.trigger("solution_version", "r1", {})


def test_an_airflow_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    ensure_credentials(Settings(home=tmp_path))
    with pytest.raises(AirflowUnavailable, match="no answer"):
        AirflowClient(Settings(home=tmp_path, control_port=1)).state("solution_version", "r1")


def test_all_unfinished_runs_are_stopped_over_all_pages(airflow: FakeAirflow, client: AirflowClient) -> None:
    for run in ("r1", "r2", "done"):
        client.trigger("solution_version", run, {})
    airflow.runs["done"]["state"] = "success"
    assert client.stop_all_runs() == 2
    assert {run: one["state"] for run, one in airflow.runs.items()} == {
        "r1": "failed",
        "r2": "failed",
        "done": "success",
    }


def test_a_pool_is_made_or_given_its_size(airflow: FakeAirflow, client: AirflowClient) -> None:
    client.ensure_pool("memory", 5)
    client.ensure_pool("memory", 6)
    assert airflow.pools["memory"]["slots"] == 6
