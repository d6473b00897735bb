"""All lines of all files, answered in their order; whatever ends it in the middle, the next attempt goes on at the mark."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from pipelines.batch.inputs import Input
from pipelines.batch.lines import MOST_BYTES
from pipelines.batch.mark import Mark
from pipelines.batch.processes import Chunk, Processes
from pipelines.progress import Progress

CHUNK_LINES = 250
"""A second's work or less, and one question to the database."""
CHUNK_BYTES = 4 << 20


def answer_files(inputs: Sequence[Input], folder: Path, processes: Processes, what: str) -> Mark:
    """Write `<name>.out` of each input into `folder`, and how far that has come beside it; the mark of the end.

    `what` is counted in the log: `lines answered`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    saved = folder.with_suffix(".mark")
    mark = Mark.load(saved)
    with Progress(what, sum(one.lines for one in inputs)) as progress:
        progress.advance(mark.lines)
        for one in inputs[mark.file :]:
            with Path(one.path).open("rb") as reading, (folder / one.output).open("ab") as writing:
                reading.seek(mark.read)
                writing.truncate(mark.written)
                for chunk, answered in processes.answer(_chunks(reading, one.name, mark.line)):
                    writing.write(answered.data)
                    writing.flush()
                    os.fsync(writing.fileno())
                    mark = mark.after(chunk, answered)
                    mark.save(saved)
                    progress.advance(chunk.lines)
            mark = mark.next_file()
            mark.save(saved)
    return mark


def _chunks(reading: IO[bytes], file: str, line: int) -> Iterator[Chunk]:
    while True:
        data, size, count = [], 0, 0
        start = reading.tell()
        while count < CHUNK_LINES and size < CHUNK_BYTES and (text := _line(reading)):
            data.append(text)
            size, count = size + len(text), count + 1
        if not count:
            return
        yield Chunk(file, line, b"".join(data), count, reading.tell() - start)
        line += count


def _line(reading: IO[bytes]) -> bytes:
    """The next line; of one that is too long as much as shows that it is."""
    text = reading.readline(MOST_BYTES + 2)
    if len(text) > MOST_BYTES + 1 and not text.endswith(b"\n"):
        while (rest := reading.readline(MOST_BYTES)) and not rest.endswith(b"\n"):
            pass
        text = text[: MOST_BYTES + 1] + b"\n"
    return text
