"""What a worker does beside requests, while the database cannot be reached: it goes on trying, and says so once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.aws.errors import ServiceUnavailable


class Outage:
    """Whether the last try failed; the log has a line when one begins, not at every try."""

    def __init__(self, log: logging.Logger, meaning: str, *errors: type[Exception]) -> None:
        """`meaning`: what does not happen meanwhile; `errors`: what a try may end with beside ServiceUnavailable."""
        self.is_on = False
        self._log, self._meaning = log, meaning
        self._errors: tuple[type[Exception], ...] = (ServiceUnavailable, *errors)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Around a try: swallows its failure."""
        try:
            yield
        except self._errors as failure:
            if not self.is_on:
                self._log.warning("%s for now: %s", self._meaning, failure)
            self.is_on = True
        else:
            self.is_on = False
