"""Several dvc commands in one process: `python -m pipelines.repository.dvc_commands '[["add", "x"], ["push"]]'`.

Starting dvc costs 1.6 CPU seconds, a further command in the same process about 0.1. The first command that fails
ends the rest, and its exit code is ours.

Jobs of one group share DVC's run cache, which is not made for that (DVC 3.67): a job that looks up a stage takes
another's half-written entry of the same stage for a corrupted one and deletes it, and both fail. Two solutions that
start on the same data at the same time meet exactly there, so looking up and saving are done under a file's lock.

DVC reads files of tags through pygit2, which (1.21) hands their content over from a thread. A reader that looks just before
the thread's last word clears the event that it then waits for, for ever: seen with `dvc gc` on a busy machine. A file of
Git is small here, so it is read at once.
"""

from __future__ import annotations

import fcntl
import io
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from queue import Queue
from threading import Event
from typing import Any


def run(commands: Sequence[Sequence[str]]) -> int:
    """Run the commands in the current directory; the exit code of the first that fails, else 0."""
    import pygit2.blob
    from dvc.cli import main
    from dvc.stage.cache import StageCache

    pygit2.blob._BlobIO = read_at_once  # type: ignore[assignment,misc]
    StageCache.save = _one_at_a_time(StageCache.save)
    StageCache.restore = _one_at_a_time(StageCache.restore)
    for command in commands:
        code = int(main(list(command)))
        if code != 0:
            sys.stdout.flush()
            print(f"`dvc {shlex.join(command)}` ended with exit code {code}", file=sys.stderr, flush=True)
            return code
        sys.stdout.flush()
    return 0


def read_at_once(blob: Any, as_path: str | None = None, flags: int = 0, commit_id: Any = None) -> io.BytesIO:
    """A Git blob's content, filtered as for `as_path` if given: what pygit2's BlobIO reads from."""
    chunks: Queue[bytes] = Queue()
    blob._write_to_queue(chunks, Event(), Event(), as_path=as_path, flags=int(flags), commit_id=commit_id)
    return io.BytesIO(b"".join(chunks.queue))


def _one_at_a_time(method: Callable[..., Any]) -> Callable[..., Any]:
    """`method` of a StageCache under the lock of its folder, whichever process it is called in."""

    @wraps(method)
    def locked(cache: Any, *args: Any, **kwargs: Any) -> Any:
        folder = Path(cache.cache_dir)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return method(cache, *args, **kwargs)

    return locked


if __name__ == "__main__":
    sys.exit(run(json.loads(sys.argv[1])))
