"""The environment of Airflow's processes: one place for every setting that differs from Airflow's default, and why."""

from __future__ import annotations

from pathlib import Path

from pipelines.platform.credentials import ADMIN, Credentials, passwords_file
from pipelines.platform.source import dags_folder, plugins_folder
from pipelines.settings import TELEMETRY_OFF, Settings

PARALLEL_TASKS = 4
POOLS = {"memory": 5, "schedules": PARALLEL_TASKS // 2}
"""Slots by name. Of `memory` a training takes 2, an import 1: two trainings and an import at a time fit into the memory of
a small machine. `schedules` is for short tasks of which many can come at once: half of the workers stay for others."""


def airflow_env(settings: Settings, credentials: Credentials, execution_port: int) -> dict[str, str]:
    """Variables for every Airflow process of a platform; `settings.database_url` must be filled in."""
    return {
        **TELEMETRY_OFF,
        **settings.to_env(),
        "AIRFLOW_HOME": str(settings.airflow_home),
        "PYTHONWARNINGS": "ignore",
        **_prefixed("core", _core(settings, credentials, execution_port)),
        **_prefixed("api", _api(settings, credentials)),
        **_prefixed("api_auth", {"jwt_secret": credentials.jwt_secret}),
        **_prefixed("database", {"sql_alchemy_conn": sqlalchemy_url(settings)}),
        **_prefixed("dag_processor", _DAG_PROCESSOR),
        **_prefixed("logging", _logging(settings.logs_dir / "airflow")),
        **_prefixed("scheduler", _SCHEDULER),
        **_prefixed("workers", _WORKERS),
    }


def sqlalchemy_url(settings: Settings) -> str:
    """The platform's database as Airflow, which needs psycopg2, names it."""
    _, _, rest = settings.database_url.partition("://")
    return f"postgresql+psycopg2://{rest}"


def _prefixed(section: str, options: dict[str, str]) -> dict[str, str]:
    return {f"AIRFLOW__{section}__{key}".upper(): value for key, value in options.items()}


def _core(settings: Settings, credentials: Credentials, execution_port: int) -> dict[str, str]:
    return {
        "dags_folder": str(dags_folder()),
        "plugins_folder": str(plugins_folder()),
        "load_examples": "False",
        "executor": "LocalExecutor",
        # That many workers are forked at the start, each a copy of the scheduler.
        "parallelism": str(PARALLEL_TASKS),
        "dags_are_paused_at_creation": "False",
        "execution_api_server_url": f"http://127.0.0.1:{execution_port}/execution/",
        "simple_auth_manager_users": f"{ADMIN}:admin",
        "simple_auth_manager_passwords_file": str(passwords_file(settings)),
        "fernet_key": credentials.fernet_key,
        # The default asks the name server, which on some machines takes seconds to say no.
        "hostname_callable": "socket.gethostname",
        "test_connection": "Disabled",
    }


def _api(settings: Settings, credentials: Credentials) -> dict[str, str]:
    return {
        "host": "127.0.0.1",
        "port": str(settings.control_port),
        "base_url": f"http://127.0.0.1:{settings.control_port}",
        "workers": "1",
        "secret_key": credentials.api_secret_key,
        # Its page loads scripts from elsewhere.
        "enable_swagger_ui": "False",
        "instance_name": "OpenPersonalize",
    }


_DAG_PROCESSOR = {
    "parsing_processes": "1",
    # Seconds until a new file is seen, and until a changed one is read again.
    "refresh_interval": "10",
    "min_file_process_interval": "30",
}

_SCHEDULER = {
    "catchup_by_default": "False",
    # Tasks of a scheduler that died unseen, which pipelines/platform/scheduler.py does not leave: after half a
    # minute, not after five.
    "orphaned_tasks_check_interval": "20",
    # A task whose executor process died is started again after this, not after five minutes. It bears a restart of
    # the execution server (20 to 40 s on a busy machine) and the wait until the next heartbeat is tried.
    "task_instance_heartbeat_timeout": "75",
    "task_instance_heartbeat_timeout_detection_interval": "5",
}

_WORKERS = {
    # A running task bears a restart of the execution server (20 to 40 s on a busy machine): seconds a call, tries,
    # and heartbeats (one every 5 s) that may fail in a row.
    "execution_api_timeout": "30",
    "execution_api_retries": "10",
    "execution_api_retry_wait_max": "10",
    "max_failed_heartbeats": "36",
}


def _logging(folder: Path) -> dict[str, str]:
    return {
        "base_log_folder": str(folder),
        "dag_processor_child_process_log_directory": str(folder / "dag_processor"),
        # Into the process's own log, whose size is bounded, instead of a folder a day.
        "dag_processor_log_target": "stdout",
        "logging_level": "INFO",
        "uvicorn_logging_level": "WARNING",
        "colored_console_log": "False",
    }
