"""The runtime's processes as tests start them: under uvicorn in this process, or as `bentoml serve` with its workers.

And a database server of its own, for tests that kill it.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import uvicorn

from bento.app import create_app
from pipelines.platform.postgres import EmbeddedPostgres
from pipelines.platform.processes import die_with_parent
from pipelines.settings import Settings
from tests.support.runtime import get, until

REPOSITORY = Path(__file__).parents[2]


@contextmanager
def uvicorn_runtime(settings: Settings) -> Iterator[str]:
    """The app under plain uvicorn in this process; its URL."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(512)
        server = uvicorn.Server(uvicorn.Config(create_app(settings), log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            until("uvicorn to start", lambda: server.started, 40)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive(), "the runtime does not stop"


@dataclass(frozen=True)
class BentoRuntime:
    """`bentoml serve` with its workers."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def workers(self) -> list[psutil.Process]:
        """The two worker processes, youngest last."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if "_bentoml_impl.worker.service" in " ".join(_cmdline(child))]


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@contextmanager
def bento_runtime(settings: Settings, environment: Mapping[str, str] | None = None) -> Iterator[BentoRuntime]:
    """The real thing: `bentoml serve bento.service:Runtime`, two workers, ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = settings.home / "runtime.log"
    command = [str(Path(sys.executable).parent / "bentoml"), "serve", "bento.service:Runtime"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    env = {**os.environ, **settings.to_env(), "BENTOML_HOME": str(settings.bento_home), **(environment or {})}
    env.pop("PROMETHEUS_MULTIPROC_DIR", None)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        until(f"bentoml serve to be ready (log: {log})", lambda: _is_ready(url, process, log), 180)
        yield BentoRuntime(url, process, log)
    finally:
        _end(process)


def _is_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        return get(f"{url}/readyz")[0] == 200
    except OSError:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
    for child in psutil.wait_procs(children, timeout=10)[1]:
        child.kill()


class Server:
    """A PostgreSQL that tests may kill."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.embedded = EmbeddedPostgres.throwaway(root)
        self.embedded.initialise()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.embedded.command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent(signal.SIGINT),
            **self.embedded.popen_options(),
        )
        self.embedded.wait_ready(self.process)

    def kill(self) -> None:
        """kill -9 of the server, and of the backends that it leaves behind."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self.embedded.end_leftovers(0.1)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(20)
        self.embedded.end_leftovers()
        shutil.rmtree(self.embedded.cluster.socket_dir, ignore_errors=True)
        shutil.rmtree(self.root)
