"""A process that answers chunks from its standard input; processes.py is the other side.

It ends with its input, and so with whoever started it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import orjson


@dataclass(frozen=True)
class Answered:
    """What is written for a chunk, and how many of its lines could not be answered."""

    data: bytes
    failed: int


def serve(answer: Callable[[str, int, bytes], Answered]) -> None:
    """`answer(file, number of the first line, lines)`. A header of JSON and so many bytes are a chunk, the reply alike."""
    read, write = sys.stdin.buffer, sys.stdout.buffer
    while header := read.readline():
        file, first, size = orjson.loads(header)
        answered = answer(file, first, read.read(size))
        write.write(orjson.dumps([answered.failed, len(answered.data)], option=orjson.OPT_APPEND_NEWLINE))
        write.write(answered.data)
        write.flush()
