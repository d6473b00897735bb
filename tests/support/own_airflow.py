"""An Airflow that we neither installed nor start: its own environment with our wheel, its own folders, its own DAG."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.platform.local_http import ask
from pipelines.platform.processes import die_with_parent
from tests.support.command import free_port
from tests.support.life import wait_for

ROOT = Path(__file__).parents[2]
USER, PASSWORD = "personalize", "not-a-secret"
THEIRS = """
from airflow.sdk import dag, task

@dag(schedule=None)
def theirs():
    @task
    def nothing(): ...
    nothing()

theirs()
"""


def install_wheel(folder: Path) -> Path:
    """The `bin` of a new environment that has this environment's packages, but of us only the wheel built now."""
    venv = folder / "venv"
    built = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(built, cwd=ROOT, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    packages = next(path for path in map(Path, sys.path) if path.name == "site-packages")
    # A path of a .pth file is searched, but the .pth files in it are not read: an editable install stays outside.
    (venv / "lib" / packages.parent.name / "site-packages" / "others.pth").write_text(f"{packages}\n")
    pip = [sys.executable, "-m", "pip", "--python", str(venv / "bin" / "python"), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, *map(str, folder.glob("*.whl"))], check=True, cwd=folder)
    return venv / "bin"


@dataclass
class OwnAirflow:
    """Airflow 3.3 as a company runs it: four processes, LocalExecutor, DAGs paused at creation, two DAG bundles."""

    bin: Path
    folder: Path
    database: str
    """SQLAlchemy URL of Airflow's own database."""
    platform: dict[str, str]
    """The OPENPERSONALIZE_* variables of its processes."""
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        dags = subprocess.run([self.bin / "openpersonalize", "dags"], cwd=self.folder, capture_output=True, text=True)
        local = "airflow.dag_processing.bundles.local.LocalDagBundle"
        bundles = [
            {"name": "theirs", "classpath": local, "kwargs": {"path": str(self.folder / "dags")}},
            {"name": "openpersonalize", "classpath": local, "kwargs": {"path": dags.stdout.strip()}},
        ]
        options = {
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__EXECUTOR": "LocalExecutor",
            "CORE__PARALLELISM": "3",
            "CORE__SIMPLE_AUTH_MANAGER_USERS": f"admin:admin,{USER}:op",
            "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.folder / "passwords.json"),
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "CORE__PLUGINS_FOLDER": str(self.folder / "plugins"),
            "API__HOST": "127.0.0.1",
            "API__PORT": str(self.port),
            "API__BASE_URL": self.url,
            "API__SECRET_KEY": "k" * 48,
            "API_AUTH__JWT_SECRET": "j" * 72,
            "DATABASE__SQL_ALCHEMY_CONN": self.database,
            "DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
            "DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        }
        others = {
            key: value for key, value in os.environ.items() if not key.startswith(("OPENPERSONALIZE_", "AIRFLOW_"))
        }
        return (
            others
            | self.platform
            | {f"AIRFLOW__{key}": value for key, value in options.items()}
            | {"AIRFLOW_HOME": str(self.folder), "PATH": f"{self.bin}:{others['PATH']}"}
        )

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Its processes, healthy; afterwards none is left."""
        for name in ("dags", "plugins"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "dags" / "theirs.py").write_text(THEIRS)
        (self.folder / "passwords.json").write_text(json.dumps({"admin": "admin", USER: PASSWORD}))
        self._airflow("db", "migrate").wait()
        names = (
            ["api-server"],
            ["scheduler", "--skip-serve-logs"],
            ["dag-processor"],
            ["triggerer", "--skip-serve-logs"],
        )
        processes = [self._airflow(*name) for name in names]
        try:
            wait_for("Airflow", self._is_healthy, seconds=240, every=1.0)
            yield
        finally:
            for process in processes:
                os.killpg(process.pid, signal.SIGTERM)
            for process in processes:
                try:
                    process.wait(timeout=30)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()

    def _airflow(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{arguments[0]}.log").open("ab") as log:
            return subprocess.Popen(
                [self.bin / "python", "-m", "airflow", *arguments],
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )

    def _is_healthy(self) -> bool:
        page = ask(f"{self.url}/api/v2/monitor/health")
        return page.status == 200 and all(
            (page.body.get(name) or {}).get("status") == "healthy"
            for name in ("scheduler", "dag_processor", "triggerer")
        )
