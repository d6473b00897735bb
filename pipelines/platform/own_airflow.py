"""A company's own Airflow instead of ours: `openpersonalize up --no-airflow` starts what it does not run.

There Airflow has our DAGs and, as plugin, the control plane; here are the reconciler, which starts DAG runs through
Airflow's REST API, and the runtime. Both sides share the database, the remotes and the access keys, by the same
OPENPERSONALIZE_* variables; `agree` finds out whether they do before anybody wonders why nothing happens.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import Any

from sqlalchemy.exc import DBAPIError

from pipelines.aws.access import fingerprint
from pipelines.platform.airflow_client import AirflowClient, AirflowUnavailable
from pipelines.platform.airflow_env import POOLS
from pipelines.platform.checks import CannotStart
from pipelines.platform.clients import Clients
from pipelines.platform.local_http import ask
from pipelines.platform.source import dags_folder
from pipelines.registry.database import known_revisions, transaction
from pipelines.registry.identity import identity
from pipelines.settings import Settings

_DAG_ID = re.compile(r'dag_id="(\w+)"')
ABOUT = "/personalize/about/"


def check_mode(settings: Settings, *, no_airflow: bool) -> None:
    """Raise CannotStart unless the environment fits what was asked for."""
    if not no_airflow and settings.airflow_url:
        raise CannotStart(
            f"OPENPERSONALIZE_AIRFLOW_URL names your own Airflow, {settings.airflow_url}: start what it lacks with "
            "`openpersonalize up --no-airflow`, or unset the variable to start one with the platform"
        )
    if not no_airflow:
        return
    if not settings.airflow_url:
        raise CannotStart("--no-airflow needs OPENPERSONALIZE_AIRFLOW_URL: your Airflow's address, as a browser has it")
    if not settings.database_url:
        raise CannotStart(
            "--no-airflow needs OPENPERSONALIZE_DATABASE_URL: postgresql://… of a database that Airflow's processes "
            "reach too, with the same value in their environment"
        )
    if not settings.airflow_token_file and not (settings.airflow_user and settings.airflow_password):
        raise CannotStart(
            "--no-airflow starts DAG runs in your Airflow: set OPENPERSONALIZE_AIRFLOW_USER and "
            "OPENPERSONALIZE_AIRFLOW_PASSWORD, or OPENPERSONALIZE_AIRFLOW_TOKEN_FILE"
        )


def check_reachable(settings: Settings) -> None:
    """Raise CannotStart when Airflow does not answer or does not let us in: waiting seldom mends that."""
    page = ask(f"{settings.airflow}/api/v2/monitor/health", timeout=10.0)
    if page.status != 200:
        raise CannotStart(
            f"your Airflow at {settings.airflow} gives {page.problem}: start it, or correct OPENPERSONALIZE_AIRFLOW_URL"
            if page.status == 0
            else f"{settings.airflow} {page.problem} for /api/v2/monitor/health: is that an Airflow 3?"
        )
    try:
        AirflowClient(settings).check_access()
    except AirflowUnavailable as error:
        raise CannotStart(f"your Airflow at {settings.airflow} cannot be used: {error}") from None


def admit(settings: Settings) -> None:
    """Pools and DAGs are there and may run; raises AirflowUnavailable."""
    client = AirflowClient(settings)
    for name, slots in POOLS.items():
        client.create_pool(name, slots)
    dag_ids = {dag_id for file in dags_folder().glob("*.py") for dag_id in _DAG_ID.findall(file.read_text())}
    unknown = client.admit(sorted(dag_ids))
    if unknown:
        raise AirflowUnavailable(
            f"Airflow does not have the DAGs {', '.join(unknown)}: add the folder that `openpersonalize dags` prints to "
            f"its DAG bundles; its page of import errors says why if it has"
        )


def agree(settings: Settings) -> None:
    """Raise AirflowUnavailable unless the control plane there has our version, database and access key."""
    page = ask(f"{settings.airflow}{ABOUT}", timeout=10.0)
    if page.status != 200 or not isinstance(page.body, dict):
        raise AirflowUnavailable(
            f"Airflow runs without the control plane ({page.problem or 'no JSON'} for {ABOUT}): install openpersonalize "
            "where its api-server runs, then restart it; /api/v2/plugins/importErrors says why if it is"
        )
    if page.body.get("problem"):
        raise AirflowUnavailable(f"the control plane in Airflow cannot work: {page.body['problem']}")
    ours = about(settings)
    for name, (what, variable) in _MUST_AGREE.items():
        there, here = page.body.get(name), ours[name]
        if there != here:
            raise AirflowUnavailable(
                f"{what} of the control plane in Airflow is {there or 'not set'}, here it is {here or 'not set'}: {variable}"
            )
    _check_access_key(settings)


_MUST_AGREE = {
    "version": ("the version", "install the same wheel in both places"),
    "revision": ("the newest revision of the database's schema", "install the same wheel in both places"),
    "database": ("the database (a digest)", "OPENPERSONALIZE_DATABASE_URL must lead to the same one in both places"),
    "region": ("the region", "set OPENPERSONALIZE_REGION to the same value in both places"),
    "account_id": ("the account", "set OPENPERSONALIZE_ACCOUNT_ID to the same value in both places"),
    "keys": (
        "what access keys are made of (a digest)",
        "set OPENPERSONALIZE_KEYS_SECRET to the same value in both places, or in neither",
    ),
}


def about(settings: Settings) -> dict[str, Any]:
    """What two parts of one platform must agree on; `problem` when the database cannot be asked."""
    facts: dict[str, Any] = {
        "version": version("openpersonalize"),
        "revision": known_revisions()[0],
        "region": settings.region,
        "account_id": settings.account_id,
        "keys": fingerprint(settings.keys_secret),
    }
    if not settings.database_url:
        return {
            **facts,
            "problem": "OPENPERSONALIZE_DATABASE_URL is not set in the environment of Airflow's api-server",
        }
    try:
        with transaction(settings) as conn:
            return {**facts, "database": identity(conn)}
    except DBAPIError as error:
        return {**facts, "problem": " ".join(str(error.orig).split())}


def _check_access_key(settings: Settings) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        Clients.of(settings).personalize.list_recipes(maxResults=1)
    except ClientError as error:
        raise AirflowUnavailable(
            "the control plane in Airflow refuses this platform's access key "
            f"({error.response['Error']['Code']}): set OPENPERSONALIZE_ACCESS_KEYS to the same value in both places"
        ) from None
    except BotoCoreError as error:
        raise AirflowUnavailable(f"the control plane in Airflow: {error}") from None
