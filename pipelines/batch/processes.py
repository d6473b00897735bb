"""Processes that answer chunks, one a core: Python's own lock would hold threads up, and numpy's threads round otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import IO

import orjson

from pipelines.batch.child import Answered
from pipelines.settings import Settings

MOST = 4
"""Processes: each takes the memory of a worker of the runtime, less the artefact, which all share."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Chunk:
    """Lines of a file that follow each other."""

    file: str
    first: int
    """Number of the first line; a file begins with 1."""
    data: bytes
    lines: int
    read: int
    """Bytes of the file: more than `data` where a line was too long."""


class Process:
    """One process that serves chunks (child.py)."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stdin is not None and child.stdout is not None
        self._child = child
        self._to: IO[bytes] = child.stdin
        self._from: IO[bytes] = child.stdout

    def answer(self, chunk: Chunk) -> Answered:
        """Raises RuntimeError when the process has ended, whose error is in the log."""
        try:
            header = [chunk.file, chunk.first, len(chunk.data)]
            self._to.write(orjson.dumps(header, option=orjson.OPT_APPEND_NEWLINE))
            self._to.write(chunk.data)
            self._to.flush()
            reply = self._from.readline()
        except BrokenPipeError:
            reply = b""
        if not reply:
            raise RuntimeError(f"A process that answers lines ended with code {self._child.wait()}.")
        failed, size = orjson.loads(reply)
        return Answered(self._from.read(size), failed)


class Processes:
    """Chunks in, answers out in the same order; a few chunks are under way at a time."""

    def __init__(self, processes: list[Process]) -> None:
        self._idle: SimpleQueue[Process] = SimpleQueue()
        for one in processes:
            self._idle.put(one)
        self._count = len(processes)

    def answer(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, Answered]]:
        """Every chunk with its answer; raises RuntimeError."""
        waiting: deque[tuple[Chunk, Future[Answered]]] = deque()
        with ThreadPoolExecutor(self._count) as threads:
            for chunk in chunks:
                waiting.append((chunk, threads.submit(self._one, chunk)))
                if len(waiting) > 2 * self._count:
                    first, answer = waiting.popleft()
                    yield first, answer.result()
            for chunk, answer in waiting:
                yield chunk, answer.result()

    def _one(self, chunk: Chunk) -> Answered:
        process = self._idle.get()
        try:
            return process.answer(chunk)
        finally:
            self._idle.put(process)


@contextmanager
def started(settings: Settings, module: str, *arguments: str, most: int) -> Iterator[Processes]:
    """At most `most` processes of a module that serves; no more than cores. They end with the block, or with this process."""
    cores = len(os.sched_getaffinity(0))
    command = [sys.executable, "-m", module, *arguments]
    env = {**os.environ, **settings.to_env(), **ONE_THREAD}
    with ExitStack() as stack:
        children: list[subprocess.Popen[bytes]] = []
        for _ in range(max(1, min(most, cores, MOST))):
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
            children.append(stack.enter_context(child))
        try:
            yield Processes([Process(child) for child in children])
        except BaseException:
            for child in children:
                child.kill()
            raise
