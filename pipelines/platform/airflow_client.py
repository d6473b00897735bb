"""Airflow's REST API, as much of it as we need: DAG runs are started, looked at and stopped here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from pipelines.platform.credentials import ADMIN, passwords_file
from pipelines.platform.files import read_json
from pipelines.platform.local_http import Answer, ask
from pipelines.settings import Settings

AWAITING_INPUT = "awaiting_input"
QUEUED, RUNNING, SUCCESS, FAILED = "queued", "running", "success", "failed"
LIVING = (QUEUED, RUNNING)
ENDED = (SUCCESS, FAILED)
PAGE = 100
TAG = "openpersonalize"
"""Of every DAG of ours."""


class AirflowUnavailable(RuntimeError):
    """Airflow does not answer, or not yet as it should; the same call may succeed later."""


class AirflowRefused(RuntimeError):
    """Airflow understood the request and refuses it; the same call will be refused again."""


@dataclass(frozen=True)
class Question:
    """What a task asks a person: whether it still waits, else the option chosen, and by whom (None: nobody, in time)."""

    waits: bool
    chosen: str | None
    by: str | None


class AirflowClient:
    """One user's view of one Airflow; keeps its token until Airflow no longer takes it."""

    def __init__(self, settings: Settings, *, base_url: str | None = None, timeout: float = 10.0) -> None:
        self._base = base_url or settings.airflow
        self._settings = settings
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

    def question(self, dag_id: str, run_id: str, task_id: str) -> Question | None:
        """What a task asks a person; None when it asks nothing. Raises AirflowUnavailable."""
        task = f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id)}/taskInstances/{quote(task_id)}"
        answer = self._call("GET", f"{task}/-1/hitlDetails")
        if answer.status == 404:
            return None
        asked = _expect(answer, 200)
        by = asked.get("responded_by_user") or {}
        chosen = (asked.get("chosen_options") or [None])[0] if asked["response_received"] else None
        return Question(asked["task_instance"]["state"] == AWAITING_INPUT, chosen, by.get("name"))

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str) -> None:
        """Answer what a task asks; one that was answered meanwhile, or is gone, is fine. Raises AirflowUnavailable."""
        task = f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id)}/taskInstances/{quote(task_id)}"
        body = {"chosen_options": [option], "params_input": {}}
        answer = self._call("PATCH", f"{task}/-1/hitlDetails", body)
        if answer.status not in (404, 409):
            _expect(answer, 200)

    def stop_all_runs(self) -> int:
        """Fail every unfinished run of every DAG of ours; how many there were. Raises AirflowUnavailable."""
        stopped = 0
        for dag_id in self._tagged() if self._settings.airflow_url else ("~",):
            while runs := self._living_runs(dag_id):
                for run in runs:
                    self.stop(run["dag_id"], run["dag_run_id"])
                stopped += len(runs)
        return stopped

    def forget_runs(self, before: datetime) -> int:
        """Delete runs that were due before, with their tasks, and have ended; how many, at most PAGE.

        Each DAG's newest stays: by it Airflow knows when the next is due. Raises AirflowUnavailable.
        """
        query = {"state": ENDED, "run_after_lt": before.isoformat(), "order_by": "run_after", "limit": PAGE}
        old = _expect(self._call("GET", f"/dags/~/dagRuns?{urlencode(query, doseq=True)}"), 200)["dag_runs"]
        newest = {dag_id: self._newest_run(dag_id) for dag_id in {run["dag_id"] for run in old}}
        forgotten = [run for run in old if run["dag_run_id"] != newest[run["dag_id"]]]
        for run in forgotten:
            answer = self._call("DELETE", f"/dags/{quote(run['dag_id'])}/dagRuns/{quote(run['dag_run_id'])}")
            if answer.status not in (204, 404):
                raise AirflowUnavailable(f"Airflow keeps a run that is old: it {answer.problem} {_detail(answer)}")
        return len(forgotten)

    def _newest_run(self, dag_id: str) -> str | None:
        query = urlencode({"order_by": "-run_after", "limit": 1})
        runs = _expect(self._call("GET", f"/dags/{quote(dag_id)}/dagRuns?{query}"), 200)["dag_runs"]
        return runs[0]["dag_run_id"] if runs else None

    def _tagged(self) -> list[str]:
        """A company's own Airflow runs others' DAGs too."""
        found = _expect(self._call("GET", f"/dags?{urlencode({'tags': TAG, 'limit': PAGE})}"), 200)
        return [dag["dag_id"] for dag in found["dags"]]

    def check_access(self) -> None:
        """Raise AirflowUnavailable unless Airflow takes our token and lets us see to pools."""
        _expect(self._call("GET", "/pools?limit=1"), 200)

    def create_pool(self, name: str, slots: int) -> None:
        """Create the pool; one that is there keeps its size. Raises AirflowUnavailable."""
        answer = self._call("POST", "/pools", {"name": name, "slots": slots, "include_deferred": False})
        if answer.status != 409:
            _expect(answer, 200, 201)

    def ensure_pool(self, name: str, slots: int) -> None:
        """Create the pool, or give it its size. Raises AirflowUnavailable."""
        pool = {"name": name, "slots": slots, "include_deferred": False}
        answer = self._call("POST", "/pools", pool)
        if answer.status == 409:
            answer = self._call("PATCH", f"/pools/{quote(name)}", pool)
        _expect(answer, 200, 201)

    def admit(self, dag_ids: Iterable[str]) -> list[str]:
        """Let DAGs run that are paused and never ran, as a new DAG is in most Airflows; those that Airflow does not know.

        Who pauses one that has run means it. Raises AirflowUnavailable.
        """
        unknown = []
        for dag_id in dag_ids:
            answer = self._call("GET", f"/dags/{quote(dag_id)}")
            if answer.status == 404:
                unknown.append(dag_id)
            elif _expect(answer, 200)["is_paused"] and not self._has_run(dag_id):
                _expect(self._call("PATCH", f"/dags/{quote(dag_id)}", {"is_paused": False}), 200)
        return unknown

    def _has_run(self, dag_id: str) -> bool:
        return bool(_expect(self._call("GET", f"/dags/{quote(dag_id)}/dagRuns?limit=1"), 200)["dag_runs"])

    def _living_runs(self, dag_id: str) -> list[dict[str, Any]]:
        query = urlencode({"state": LIVING, "limit": PAGE}, doseq=True)
        runs: list[dict[str, Any]] = _expect(self._call("GET", f"/dags/{dag_id}/dagRuns?{query}"), 200)["dag_runs"]
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
        given = self._settings.airflow_token_file
        whose = f"in {given} (OPENPERSONALIZE_AIRFLOW_TOKEN_FILE)" if given else "that it has just given"
        raise AirflowUnavailable(f"Airflow does not take the token {whose}")

    def _new_token(self) -> str:
        if self._settings.airflow_token_file:
            self._token = _read_token(self._settings.airflow_token_file)
            return self._token
        user, password = self._user()
        login = {"username": user, "password": password}
        answer = ask(f"{self._base}/auth/token", login, method="POST", timeout=self._timeout)
        if answer.status in (401, 403):
            raise AirflowUnavailable(
                f"Airflow does not let {user} sign in: it {answer.problem} {_detail(answer)}".strip()
            )
        self._token = str(_expect(answer, 200, 201)["access_token"])
        return self._token

    def _user(self) -> tuple[str, str]:
        if self._settings.airflow_url:
            return self._settings.airflow_user, self._settings.airflow_password
        path = passwords_file(self._settings)
        passwords = read_json(path)
        if not isinstance(passwords, dict) or ADMIN not in passwords:
            raise AirflowUnavailable(f"{path} has no password of {ADMIN}")
        return ADMIN, passwords[ADMIN]


def _read_token(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise AirflowUnavailable(f"no token can be read from {path}: {error.strerror}") from None


def _expect(answer: Answer, *statuses: int) -> Any:
    if answer.status not in statuses or answer.body is None:
        raise AirflowUnavailable(f"Airflow {answer.problem or 'answers without JSON'} {_detail(answer)}".strip())
    return answer.body


def _detail(answer: Answer) -> str:
    detail = answer.body.get("detail") if isinstance(answer.body, dict) else None
    return str(detail)[:500] if detail else ""
