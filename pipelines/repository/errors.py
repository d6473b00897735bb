"""What goes wrong in a group's repository, said so that a person can act on it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence


class RepositoryError(RuntimeError):
    """The repository is not as it must be; the message says what was expected."""


class CommandFailed(RepositoryError):
    """git or dvc ended with an error; the message carries its last lines."""

    def __init__(self, command: Sequence[str], returncode: int, lines: Sequence[str]) -> None:
        self.command = list(command)
        self.returncode = returncode
        self.lines = list(lines)
        said = "\n".join(self.lines[-10:]) or "no output"
        super().__init__(f"`{_shown(self.command)}` ended with exit code {returncode}: {said}")


def _shown(command: Sequence[str]) -> str:
    """As a person would type it; dvc's commands run through pipelines.repository.dvc_commands."""
    if len(command) == 4 and command[2] == "pipelines.repository.dvc_commands":
        return " && ".join(shlex.join(["dvc", *one]) for one in json.loads(command[3]))
    return shlex.join(command)
