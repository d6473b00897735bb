"""How far a long piece of work has come: a bar on a terminal, a log line every few seconds elsewhere.

    with Progress("rows", total=25_000_000) as progress:
        for batch in batches:
            progress.advance(len(batch))

The clock is read here, and only for display: no result depends on it.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as RichBar
    from rich.progress import TaskID

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 5.0


class Progress:
    """Counts `what` up to `total` (None: unknown) and shows rate and time left."""

    def __init__(
        self,
        what: str,
        total: float | None = None,
        *,
        every: float = SECONDS_BETWEEN_LINES,
        clock: Callable[[], float] = time.monotonic,
        terminal: bool | None = None,
    ) -> None:
        self.what = what
        self.total = total
        self.done = 0.0
        self._every = every
        self._clock = clock
        self._terminal = sys.stderr.isatty() if terminal is None else terminal
        self._started = self._shown = clock()
        self._bar: RichBar | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Progress:
        self._started = self._shown = self._clock()
        if self._terminal:
            self._open_bar()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif kind is None and self.done:
            log.info("%s", self.line(finished=True))

    def advance(self, amount: float = 1) -> None:
        """`amount` more is done."""
        self.done += amount
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=amount)
            return
        now = self._clock()
        if now - self._shown >= self._every:
            self._shown = now
            log.info("%s", self.line())

    def line(self, *, finished: bool = False) -> str:
        """`rows: 1,200,000 of 25,000,000 (5 %), 400,000/s, 60 s left`."""
        seconds = max(self._clock() - self._started, 1e-9)
        rate = self.done / seconds
        text = f"{self.what}: {self.done:,.0f}"
        if finished:
            return f"{text} in {seconds:.1f} s ({self._pace(rate)})"
        if self.total:
            text += f" of {self.total:,.0f} ({100 * self.done / self.total:.0f} %)"
        text += f", {self._pace(rate)}"
        if self.total and rate:
            text += f", {max(self.total - self.done, 0) / rate:.0f} s left"
        return text

    @staticmethod
    def _pace(rate: float) -> str:
        """What is slower than one a second says how long each takes."""
        return f"{1 / rate:.0f} s each" if 0 < rate < 0.5 else f"{rate:,.0f}/s"

    def _open_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichBar

        self._bar = RichBar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True, force_terminal=True),
            transient=True,
        )
        self._task = self._bar.add_task(self.what, total=self.total)
        self._bar.start()
