"""DAG runs of a running platform, through Airflow's REST API: started for a moment that the test names, and their end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pipelines.platform.airflow_client import ENDED, AirflowClient, AirflowUnavailable
from pipelines.platform.credentials import ADMIN, passwords_file
from pipelines.platform.files import read_json
from pipelines.platform.local_http import ask
from pipelines.settings import Settings
from tests.support.life import wait_for


def start_for(settings: Settings, dag_id: str, moment: datetime, conf: Mapping[str, Any]) -> str:
    """Start a run that decides for `moment`, which must be past (Airflow starts no task before); its run id."""
    run_id = f"test__{moment.isoformat()}"
    body = {"dag_run_id": run_id, "logical_date": moment.isoformat(), "conf": dict(conf)}

    def started() -> bool:
        # Not there while Airflow has not parsed the DAG yet.
        answer = ask(
            f"{settings.airflow}/api/v2/dags/{dag_id}/dagRuns", body, method="POST", headers=_headers(settings)
        )
        assert answer.status in (200, 201, 404, 409), answer
        return answer.status != 404

    wait_for(f"Airflow parses {dag_id}", started)
    return run_id


def end(settings: Settings, dag_id: str, run_id: str, *, seconds: float) -> str:
    """`success` or `failed`, through restarts of Airflow."""
    airflow = AirflowClient(settings)

    def ended() -> str | None:
        try:
            state = airflow.state(dag_id, run_id)
        except AirflowUnavailable:
            return None
        return state if state in ENDED else None

    state: str = wait_for(f"{dag_id} {run_id} ends", ended, seconds=seconds, every=0.5)
    return state


def _headers(settings: Settings) -> dict[str, str]:
    passwords = read_json(passwords_file(settings))
    assert isinstance(passwords, dict)
    login = ask(f"{settings.airflow}/auth/token", {"username": ADMIN, "password": passwords[ADMIN]}, method="POST")
    return {"Authorization": f"Bearer {login.body['access_token']}"}
