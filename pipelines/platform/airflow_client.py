"""Airflow's REST API, as much of it as we need: DAG runs are started, looked at and stopped here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from pipelines.platform.credentials import ADMIN, passwords_file
from pipelines.platform.files import read_json
from pipelines.platform.local_http import Answer, ask
from pipelines.settings import Settings

QUEUED, RUNNING, SUCCESS, FAILED = "queued", "running", "success", "failed"
LIVING = (QUEUED, RUNNING)
PAGE = 100


class AirflowUnavailable(RuntimeError):
    """Airflow does not answer, or not yet as it should; the same call may succeed later."""


class AirflowRefused(RuntimeError):
    """Airflow understood the request and refuses it; the same call will be refused again."""


class AirflowClient:
    """One user's view of one Airflow; keeps its token until Airflow no longer takes it."""

    def __init__(self, settings: Settings, *, base_url: str | None = None, timeout: float = 10.0) -> None:
        self._base = base_url or f"http://127.0.0.1:{settings.control_port}"
        self._passwords = passwords_file(settings)
        self._timeout = timeout
        self._token: str | None = None

    def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, Any]) -> None:
        """Start a DAG run; one of that id that exists already is as good.

        Raises AirflowUnavailable (also while the DAG is not parsed yet), AirflowRefused for a bad `conf`.
        """
        body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(conf)}
        answer = self._call("POST", f"/dags/{quote(dag_id)}/dagRuns", body)
        if answer.status in (400, 422):
            raise AirflowRefused(f"Airflow refuses to start {dag_id}: {_detail(answer)}")
        if answer.status not in (200, 201, 409):
            raise AirflowUnavailable(f"Airflow does not start {dag_id}: it {answer.problem} {_detail(answer)}".strip())

    def state(self, dag_id: str, run_id: str) -> str | None:
        """queued, running, success or failed; None when there is no such run. Raises AirflowUnavailable."""
        answer = self._call("GET", f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id)}")
        if answer.status == 404:
            return None
        return str(_expect(answer, 200)["state"])

    def stop(self, dag_id: str, run_id: str) -> None:
        """Fail a run, which ends its tasks; one that is gone is fine. Raises AirflowUnavailable."""
        answer = self._call("PATCH", f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id)}", {"state": FAILED})
        if answer.status != 404:
            _expect(answer, 200)

    def stop_all_runs(self) -> int:
        """Fail every unfinished run of every DAG; how many there were. Raises AirflowUnavailable."""
        stopped = 0
        while runs := self._living_runs():
            for run in runs:
                self.stop(run["dag_id"], run["dag_run_id"])
            stopped += len(runs)
        return stopped

    def ensure_pool(self, name: str, slots: int) -> None:
        """Create the pool, or give it its size. Raises AirflowUnavailable."""
        pool = {"name": name, "slots": slots, "include_deferred": False}
        answer = self._call("POST", "/pools", pool)
        if answer.status == 409:
            answer = self._call("PATCH", f"/pools/{quote(name)}", pool)
        _expect(answer, 200, 201)

    def _living_runs(self) -> list[dict[str, Any]]:
        query = urlencode({"state": LIVING, "limit": PAGE}, doseq=True)
        runs: list[dict[str, Any]] = _expect(self._call("GET", f"/dags/~/dagRuns?{query}"), 200)["dag_runs"]
        return runs

    def _call(self, method: str, path: str, body: Any = None) -> Answer:
        """One request; a token that Airflow no longer takes is replaced once."""
        for token in (self._token, None):
            bearer = token or self._new_token()
            headers = {"Authorization": f"Bearer {bearer}"}
            answer = ask(f"{self._base}/api/v2{path}", body, method=method, headers=headers, timeout=self._timeout)
            if answer.status == 0:
                raise AirflowUnavailable(f"Airflow gives {answer.problem}")
            if answer.status != 401:
                return answer
            self._token = None
        raise AirflowUnavailable("Airflow does not take the token that it has just given")

    def _new_token(self) -> str:
        passwords = read_json(self._passwords)
        if not isinstance(passwords, dict) or ADMIN not in passwords:
            raise AirflowUnavailable(f"{self._passwords} has no password of {ADMIN}")
        login = {"username": ADMIN, "password": passwords[ADMIN]}
        answer = ask(f"{self._base}/auth/token", login, method="POST", timeout=self._timeout)
        self._token = str(_expect(answer, 200, 201)["access_token"])
        return self._token


def _expect(answer: Answer, *statuses: int) -> Any:
    if answer.status not in statuses or answer.body is None:
        raise AirflowUnavailable(f"Airflow {answer.problem or 'answers without JSON'} {_detail(answer)}".strip())
    return answer.body


def _detail(answer: Answer) -> str:
    detail = answer.body.get("detail") if isinstance(answer.body, dict) else None
    return str(detail)[:500] if detail else ""
