"""What a training prints: one foldable group a stage in Airflow's log viewer, and the reason when a stage fails."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipelines.repository import CommandFailed, Worktree
from pipelines.versions.errors import VersionFailed

log = logging.getLogger(__name__)

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

REASON = "failureReason: "
"""A stage that cannot go on prints one line that starts with this to standard error and exits with code 2."""

_STAGE = re.compile(r"^(?:Running stage '(?P<run>[^']+)'|Stage '(?P<kept>[^']+)' (?:is cached|didn't change))")


class StageLog:
    """Takes the lines of `dvc repro` and hands them on between `::group::` and `::endgroup::` markers."""

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._emit = emit
        self._open = False
        self.reason: str | None = None
        """The last reason that a stage gave."""

    def line(self, text: str) -> None:
        """Take one line."""
        found = _STAGE.match(text)
        if found:
            self.close()
            self._emit(f"::group::{found['run'] or found['kept']}")
            self._open = True
        if text.startswith(REASON):
            self.reason = text.removeprefix(REASON).strip()
        self._emit(text)

    def close(self) -> None:
        """End the open group, if any."""
        if self._open:
            self._emit("::endgroup::")
        self._open = False


def repro(tree: Worktree, message: str, tag: str, inputs: Sequence[Sequence[str]], values: Mapping[str, Any]) -> None:
    """Complete the inputs, run the stages with these parameters, commit, push and tag.

    Raises VersionFailed with the reason that a stage gave, CommandFailed or RepositoryError otherwise.
    """
    tree.write_params(values)
    stages = StageLog(log.info)
    env = dict.fromkeys(THREAD_VARIABLES, str(values["training"]["threads"]))
    try:
        tree.record(message, tag, *inputs, ["repro"], on_line=stages.line, env=env)
    except CommandFailed as error:
        if stages.reason:
            raise VersionFailed(stages.reason) from error
        raise
    finally:
        stages.close()
