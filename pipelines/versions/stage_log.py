"""What a training prints: one foldable group a stage in Airflow's log viewer, and the reason when a stage fails."""

from __future__ import annotations

import re
from collections.abc import Callable

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
