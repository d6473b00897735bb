"""Where a solution version's artefact lies on this machine, and how it gets there.

The Bento store under `settings.bento_home` is a view that can be rebuilt: `pipelines/versions` fills it when it
publishes a version; on another machine, or after the folder was lost, `fetch` rebuilds one version from the DVC remote.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from threading import Event
from time import monotonic
from typing import IO

from pipelines.serving import scrubbing
from pipelines.settings import Settings

RESTORE_SECONDS = 900.0
"""Longest that one version may take to come from the DVC remote."""


class FetchError(RuntimeError):
    """Something is not here and could not be made; the message has the command's last lines."""


def model_directory(settings: Settings, solution_id: str, version_id: str) -> Path:
    """The folder of a version's artefact in the Bento store; complete as soon as it exists."""
    return settings.bento_home / "models" / f"solution-{solution_id}" / version_id


def fetch(settings: Settings, solution_id: str, version_id: str, edition: int = 0, stop: Event | None = None) -> Path:
    """The folder of a version's artefact, rebuilt first if it is missing or older than `edition`; raises FetchError.

    Two workers that miss the same version rebuild it once. Blocks, so call it from a thread; `stop` ends it early.
    """
    directory = model_directory(settings, solution_id, version_id)
    if _is_there(directory, edition):
        return directory
    with locked(settings, version_id):
        if not _is_there(directory, edition):
            restore(settings, version_id, stop)
    if not _is_there(directory, edition):
        raise FetchError(f"Solution version {version_id} was restored, but {directory} is not there")
    return directory


def _is_there(directory: Path, edition: int) -> bool:
    return directory.exists() and (edition == 0 or scrubbing.edition(directory) >= edition)


def restore(settings: Settings, version_id: str, stop: Event | None = None) -> None:
    """Run `python -m pipelines.versions.restore`, which needs DVC and so never runs in the runtime's own process."""
    failed = f"Solution version {version_id} could not be restored"
    run_module(settings, ["pipelines.versions.restore", version_id], failed, stop)


def run_module(settings: Settings, command: Sequence[str], failed: str, stop: Event | None = None) -> None:
    """Run `python -m <command>`; raises FetchError, which begins with `failed`, when it ends with an error."""
    with TemporaryFile() as output:
        child = subprocess.Popen(
            [sys.executable, "-m", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **settings.to_env()},
        )
        code = _wait(child, stop or Event())
        if code != 0:
            raise FetchError(f"{failed}: {_last_lines(output, code)}")


def _wait(child: subprocess.Popen[bytes], stop: Event) -> int:
    deadline = monotonic() + RESTORE_SECONDS
    while True:
        try:
            return child.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            if stop.is_set() or monotonic() > deadline:
                child.kill()


def _last_lines(output: IO[bytes], code: int) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(size - 2000, 0))
    lines = output.read().decode("utf-8", "replace").strip().splitlines()[-5:]
    return " | ".join(line.strip() for line in lines) or f"the command ended with {code} and said nothing"


@contextmanager
def locked(settings: Settings, name: str) -> Iterator[None]:
    """One process of this machine at a time."""
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    with (settings.run_dir / f"restore-{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
