"""The `openpersonalize` command as a person runs it, and what a stopped platform may not leave behind."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from pipelines.settings import Settings
from tests.conftest import MANY


@dataclass(frozen=True)
class Command:
    """Runs `openpersonalize` for one home and its two ports."""

    home: Path
    control_port: int
    runtime_port: int

    @property
    def env(self) -> dict[str, str]:
        others = {key: value for key, value in os.environ.items() if not key.startswith("OPENPERSONALIZE_")}
        return others | {
            "OPENPERSONALIZE_HOME": str(self.home),
            "OPENPERSONALIZE_CONTROL_PORT": str(self.control_port),
            "OPENPERSONALIZE_RUNTIME_PORT": str(self.runtime_port),
            "OPENPERSONALIZE_QUOTAS": MANY,
        }

    def __call__(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end; `env` adds variables."""
        return subprocess.run(
            [sys.executable, "-m", "pipelines.platform.cli", *arguments],
            env=self.env | env,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )

    def status(self) -> dict[str, dict[str, Any]]:
        """`status --json`, by name of the process; empty when nothing runs."""
        return {process["name"]: process for process in json.loads(self("status", "--json").stdout)["processes"]}


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def leftovers(settings: Settings) -> list[str]:
    """Processes that know the home by environment, command or working folder, and sockets and pid files in it."""
    home = str(settings.home)
    found = [str(path) for path in settings.home.rglob("*") if path.is_socket() or path.name == "postmaster.pid"]
    if (settings.run_dir / "platform.json").exists():
        found.append(str(settings.run_dir / "platform.json"))
    me = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid in me or process.status() == psutil.STATUS_ZOMBIE:
                continue
            known = [process.cwd(), *process.cmdline(), process.environ().get("OPENPERSONALIZE_HOME", "")]
            if any(word == home or word.startswith(home + "/") for word in known):
                found.append(f"process {process.pid}: {' '.join(process.cmdline())[:100]}")
    return found
