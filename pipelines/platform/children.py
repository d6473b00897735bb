"""The processes of a platform: their commands, what each waits for, and in which order they stop."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.platform.airflow_env import airflow_env
from pipelines.platform.credentials import Credentials
from pipelines.platform.postgres import EmbeddedPostgres
from pipelines.platform.source import source_root
from pipelines.platform.state import MARKER_VARIABLE
from pipelines.settings import TELEMETRY_OFF, Settings

# Stop stages: what starts work goes first, what work reports to later, what everything is kept in last.
WORK, REPORT, STORE = 0, 1, 2


@dataclass(frozen=True)
class ChildSpec:
    """How one process is started and stopped."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    needs: tuple[str, ...] = ()
    """Names of children that must be ready before it is started, each time."""
    once: bool = False
    """It does one thing and ends; 0 means done, anything else is tried again."""
    stop_stage: int = WORK
    stop_signal: signal.Signals = signal.SIGTERM
    stop_patience: float = 15.0
    """Seconds from the signal until everything it left is killed."""
    backoff_limit: float = 30.0
    """The longest wait between two starts in a row that fail, seconds."""
    popen_options: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[[], None] | None = None
    """Runs before each start."""
    ready: Callable[[], bool] | None = None
    """Whether children that need it may start; without it, running is ready."""


def platform_children(
    settings: Settings,
    credentials: Credentials,
    execution_port: int,
    postgres: EmbeddedPostgres | None,
    marker: str,
) -> list[ChildSpec]:
    """Every process of a platform, in the order in which they are shown. `postgres` is None when the URL was given."""
    common = child_env(settings, marker)
    airflow = common | airflow_env(settings, credentials, execution_port)
    # Airflow's own chatter of these processes is worth nothing below a warning; a task's log, which inherits from
    # the scheduler, is.
    quiet = airflow | {"AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING"}
    store = [_postgres(postgres, common)] if postgres else []
    first = ("postgres",) if postgres else ()
    schemas = ("airflow-schema", "registry-schema")

    def api(name: str, apps: str, port: int, env: Mapping[str, str], needs: tuple[str, ...], stage: int) -> ChildSpec:
        # uvicorn's variable: whose X-Forwarded-For is believed. Without a proxy in front, nobody's.
        proxied = ["--proxy-headers"] if env.get("FORWARDED_ALLOW_IPS") else []
        command = _python("airflow", "api-server", "--apps", apps, "--host", "127.0.0.1", "--port", str(port), *proxied)
        return ChildSpec(name, command, env, (*first, *needs), stop_stage=stage, stop_patience=6.0)

    def job(name: str, *command: str, env: Mapping[str, str] = quiet, patience: float = 5.0) -> ChildSpec:
        return ChildSpec(name, _python(*command), env, (*first, "airflow-schema"), stop_patience=patience)

    return [
        *store,
        ChildSpec("registry-schema", _migration("registry"), common, first, once=True),
        ChildSpec("airflow-schema", _migration("airflow"), quiet, first, once=True),
        api("control", "core", settings.control_port, quiet, schemas, WORK),
        api("execution", "execution", execution_port, quiet, ("airflow-schema",), REPORT),
        # It waits for running tasks; what they were at is started again by the next scheduler.
        job("scheduler", "pipelines.platform.scheduler", "--skip-serve-logs", env=airflow, patience=15.0),
        job("dag-processor", "airflow", "dag-processor"),
        job("triggerer", "airflow", "triggerer", "--skip-serve-logs"),
        ChildSpec("reconciler", _python("pipelines.platform.reconciler"), common, (*first, *schemas)),
        _runtime(settings, common, (*first, "registry-schema")),
    ]


def beside_an_airflow(settings: Settings, marker: str) -> list[ChildSpec]:
    """What a company's own Airflow does not run: it has DAGs, plugin and the database."""
    env, needs = child_env(settings, marker), ("registry-schema",)
    return [
        ChildSpec("registry-schema", _migration("registry"), env, once=True),
        ChildSpec("reconciler", _python("pipelines.platform.reconciler"), env, needs),
        _runtime(settings, env, needs),
    ]


def child_env(settings: Settings, marker: str) -> dict[str, str]:
    """What every process of ours starts from: the caller's environment less any other Airflow's settings."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW__", "AIRFLOW_"))}
    # Without compiled modules each of Airflow's processes takes 10 CPU seconds to start instead of 4.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    python_path = [str(source_root()), *filter(None, [env.get("PYTHONPATH")])]
    return (
        env
        | TELEMETRY_OFF
        | settings.to_env()
        | {
            MARKER_VARIABLE: marker,
            "BENTOML_HOME": str(settings.bento_home),
            # dvc and the other commands of our own environment come before the system's.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)]),
            "PYTHONPATH": os.pathsep.join(python_path),
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "ignore",
        }
    )


def _postgres(server: EmbeddedPostgres, env: Mapping[str, str]) -> ChildSpec:
    def prepare() -> None:
        server.end_leftovers()
        server.initialise()

    return ChildSpec(
        "postgres",
        tuple(server.command()),
        # Not the marker: PostgreSQL is recognised by its data folder and must not be ended like the others.
        {"PATH": env["PATH"], "LC_ALL": "C"},
        stop_stage=STORE,
        stop_signal=signal.SIGINT,
        stop_patience=30.0,
        # Everything waits for it.
        backoff_limit=3.0,
        popen_options=server.popen_options(),
        prepare=prepare,
        ready=server.is_ready,
    )


def _runtime(settings: Settings, env: Mapping[str, str], needs: tuple[str, ...]) -> ChildSpec:
    counters = settings.run_dir / "prometheus"

    def empty_counters() -> None:
        shutil.rmtree(counters, ignore_errors=True)
        counters.mkdir(parents=True)

    port = str(settings.runtime_port)
    command = _python("bentoml", "serve", "bento.service:Runtime", "--host", "127.0.0.1", "--port", port)
    # Two workers on the machine's cores: one thread each for matrix products.
    env = {**env, "PROMETHEUS_MULTIPROC_DIR": str(counters), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return ChildSpec("runtime", command, env, needs, prepare=empty_counters)


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)


def _migration(which: str) -> tuple[str, ...]:
    return _python("pipelines.platform.migrations", which)
