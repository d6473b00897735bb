"""A version whose training hangs until it is let go, and processes that try to make it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from pipelines import stages_definition
from pipelines.registry.store import Resource
from tests.support.versions import World


@dataclass
class Scene:
    """A version whose second stage goes on for as long as `hold` exists, and processes that try to make it."""

    world: World
    version: Resource
    marks: Path
    hold: Path
    attempts: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def tag(self) -> str:
        return f"sv/{self.world.solution.id}/{self.version.id}"

    @property
    def branch(self) -> str:
        return f"solution/{self.world.solution.id}"

    def attempt(self, until: str) -> subprocess.Popen[str]:
        """Another process that makes the version; returns once it has printed the line."""
        script = textwrap.dedent(
            f"""
            import logging, sys
            logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
            from pipelines import stages_definition
            from pipelines.settings import Settings
            from pipelines.versions import reproduce
            stages_definition.group_dvc_yaml = lambda: {stages_definition.group_dvc_yaml()!r}
            reproduce(Settings.from_env(), {self.version.id!r})
            """
        )
        job = subprocess.Popen(
            [sys.executable, "-c", script],
            env={**os.environ, **self.world.settings.to_env()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.attempts.append(job)
        assert job.stdout is not None
        for line in job.stdout:
            if until in line:
                return job
        raise AssertionError(f"the attempt ended without saying {until!r}")
