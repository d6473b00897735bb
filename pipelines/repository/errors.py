"""What goes wrong in a group's repository, said so that a person can act on it."""

from __future__ import annotations

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
        shown = "\n".join(self.lines[-10:]) or "no output"
        super().__init__(f"`{shlex.join(self.command)}` ended with exit code {returncode}: {shown}")
