"""The environment that git and dvc run in: nothing of the person's own configuration, nothing phones home."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines.settings import TELEMETRY_OFF

JOB_VARIABLE = "OPENPERSONALIZE_JOB"
"""Marks every process that belongs to a job, so that a retry can end what a killed attempt left running."""


def dvc(*commands: Sequence[str]) -> list[str]:
    """The command line that runs these dvc commands one after another in one process."""
    return [sys.executable, "-m", "pipelines.repository.dvc_commands", json.dumps(commands)]


def child_env(job: str, site_cache: Path) -> dict[str, str]:
    """Environment for the processes of one job; `site_cache` holds DVC's hash state and goes with the job."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "DVC_"))}
    env.update(TELEMETRY_OFF)
    env.update(
        {
            JOB_VARIABLE: job,
            # A person's ~/.gitconfig (signing, hooks, autocrlf) or DVC config would change what is committed.
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            # The home may belong to another user than the one that runs the tasks.
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "DVC_GLOBAL_CONFIG_DIR": str(site_cache / "config"),
            "DVC_SYSTEM_CONFIG_DIR": str(site_cache / "config"),
            "DVC_SITE_CACHE_DIR": str(site_cache),
            "LC_ALL": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            # `python` in a stage's command is this interpreter, wherever the caller was started from.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)]),
        }
    )
    return env
