"""How far a job has come. What is behind the mark is on the disk, so whoever goes on begins there and writes the same."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pipelines.batch.child import Answered
from pipelines.batch.processes import Chunk


@dataclass(frozen=True)
class Mark:
    """A place in a file, and what was counted up to it."""

    file: int = 0
    """Which of the inputs."""
    line: int = 1
    """The number of its next line."""
    read: int = 0
    """Bytes of it that come before."""
    written: int = 0
    """Bytes of its output that answer them."""
    lines: int = 0
    """Of all files so far."""
    failed: int = 0
    """Of those how many could not be answered."""

    @classmethod
    def load(cls, path: Path) -> Mark:
        """The one that was saved last; the beginning when there is none."""
        return cls(**json.loads(path.read_text())) if path.exists() else cls()

    def save(self, path: Path) -> None:
        new = path.with_suffix(".new")
        with new.open("w") as out:
            json.dump(asdict(self), out)
            out.flush()
            os.fsync(out.fileno())
        new.replace(path)

    def after(self, chunk: Chunk, answered: Answered) -> Mark:
        """Behind the chunk, once its answer is written."""
        return replace(
            self,
            line=chunk.first + chunk.lines,
            read=self.read + chunk.read,
            written=self.written + len(answered.data),
            lines=self.lines + chunk.lines,
            failed=self.failed + answered.failed,
        )

    def next_file(self) -> Mark:
        return replace(self, file=self.file + 1, line=1, read=0, written=0)
