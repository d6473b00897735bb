"""One platform, with every real process, for all end-to-end tests of a run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.platform.state import running_state
from pipelines.settings import Settings
from tests.support.command import Command, free_port, leftovers


@pytest.fixture(scope="session")
def command() -> Iterator[Command]:
    """`openpersonalize` for a home of its own on free ports; nothing is started by this."""
    # Below /tmp rather than pytest's folder: that is closed to PostgreSQL's account, and its path is long.
    home = Path(tempfile.mkdtemp(prefix="op-e2e-"))
    home.chmod(0o755)
    yield Command(home, control_port=free_port(), runtime_port=free_port())
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def platform(command: Command) -> Iterator[Settings]:
    """Settings of a running platform, `database_url` filled in. Afterwards it must stop without leaving anything."""
    started = command("up")
    if started.returncode != 0:
        command("down")  # it would go on trying, in a home that is removed
    assert started.returncode == 0, started.stdout + started.stderr
    settings = Settings.from_env(command.env)
    state = running_state(settings)
    assert state is not None
    yield replace(settings, database_url=state.database_url)
    stopped = command("down")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    assert leftovers(settings) == [], "`down` left processes, sockets or pid files"
