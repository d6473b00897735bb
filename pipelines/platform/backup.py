"""`openpersonalize backup`: all that a platform cannot make again, in one file, while it runs.

    manifest.json                    what it is of: revision, account, remote, dataset groups
    database/<table>.copy.gz         the registry and what was streamed, as of one moment
    groups/<id>/refs, objects.pack   each dataset group's Git repository as of the same moment
    remote/<id>/xx/yyy               each group's DVC remote, if that is a folder; of a bucket it is seen that all is there
    imports/, deletions/             reports and rejects
    secrets/                         access keys, Airflow's password and keys
    SHA256SUMS

Consistent, because a tag is made before the row that names it and data before its tag: rows are copied as of one moment
while no tag can be deleted, the refs of that moment are listed under the same locks, and until the end nothing is
collected or purged (pipelines/repository/saving.py). Jobs, requests and events go on.

Left out, as it can be made again: the Bento store and DVC's cache (from the remote), Airflow's tables. What Airflow knows
beside the registry is the history of its runs, with processes and hosts that are gone; in a company's Airflow it is not
ours to put back. Runs that were under way begin anew. Files below home/data are the customer's own.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg

from pipelines.disk import require_disk
from pipelines.platform.archive import MANIFEST, Writer, read_chunks, writing
from pipelines.platform.database import embedded_server, with_database
from pipelines.platform.state import locked, running_state
from pipelines.progress import Progress
from pipelines.registry import copying
from pipelines.registry.tables import SCHEMA
from pipelines.repository import GroupRepository, saving
from pipelines.settings import Settings

log = logging.getLogger(__name__)

FORMAT = 1
REFS, PACK = "refs", "objects.pack"
REPORTS = ("report.html", "rejects.parquet")


class BackupFailed(RuntimeError):
    """There is no backup; the message says why."""


@dataclass
class Saved:
    """What a backup holds."""

    made_at: datetime
    rows: dict[str, int] = field(default_factory=dict)
    """Packed bytes by table."""
    groups: int = 0
    objects: int = 0
    bytes: int = 0
    warnings: list[str] = field(default_factory=list)


@contextmanager
def reachable(settings: Settings) -> Iterator[Settings]:
    """Settings of a database that answers: the running platform's, the one that is named, or our own for the while.

    Raises BackupFailed when there is none.
    """
    server = embedded_server(settings)
    if server is None or running_state(settings) is not None:
        yield with_database(settings, server)
        return
    if not server.cluster.data.is_dir():
        raise BackupFailed(f"there is nothing to back up: no platform was ever started in {settings.home}")
    with locked(settings.run_dir / "up.lock") as mine:
        if not mine:
            raise BackupFailed("the platform is starting: try again when it runs")
        with server.serving(settings.logs_dir / "postgres.log"):
            yield with_database(settings, server)


def backup(settings: Settings, target: Path, now: datetime) -> Saved:
    """Write the backup of a platform whose database answers to `target`.

    Raises BackupFailed, RepositoryError, psycopg.Error, OSError.
    """
    saved = Saved(now)
    with ExitStack() as held:
        connection, groups = _moment(settings, held)
        _check_room(connection, groups, target)
        with writing(target, now.timestamp()) as archive:
            _rows(settings, connection, groups, archive, saved)
            # A snapshot that is held open keeps PostgreSQL from clearing up.
            connection.close()
            _repositories(groups, archive, saved)
            _files(settings, archive)
    saved.groups, saved.bytes = len(groups), target.stat().st_size
    return saved


@dataclass(frozen=True)
class _Group:
    """A dataset group at the moment of the backup."""

    name: str
    repository: GroupRepository
    refs: str

    @property
    def objects(self) -> list[Path]:
        return saving.objects(self.repository) if "://" not in self.repository.layout.remote_url else []


def _moment(settings: Settings, held: ExitStack) -> tuple[psycopg.Connection[Any], list[_Group]]:
    """One moment of database and repositories; `held` keeps their data from being removed."""
    repositories: dict[str, GroupRepository] = {}
    while True:
        with ExitStack() as short:
            for repository in repositories.values():
                short.enter_context(saving.still(repository))
            connection = held.enter_context(copying.snapshot(settings))
            query = f"SELECT id, name FROM {SCHEMA}.resources WHERE kind = 'DatasetGroup' ORDER BY id"
            names: dict[str, str] = dict(connection.execute(query.encode()).fetchall())
            if names.keys() <= repositories.keys():
                return connection, [
                    _Group(name, repositories[id], saving.refs(repositories[id])) for id, name in names.items()
                ]
        # A group came meanwhile: what has to be held is known before the moment, not after it.
        connection.close()
        for id in sorted(names.keys() - repositories.keys()):
            repositories[id] = GroupRepository(settings, id)
            held.enter_context(saving.kept(repositories[id]))


def _check_room(connection: psycopg.Connection[Any], groups: Iterable[_Group], target: Path) -> None:
    query = "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c WHERE relnamespace = %s::regnamespace AND relkind = 'r'"
    [[rows]] = connection.execute(query, [SCHEMA]).fetchall()
    require_disk(target.parent, rows + sum(path.stat().st_size for group in groups for path in group.objects))


def _rows(
    settings: Settings, connection: psycopg.Connection[Any], groups: Iterable[_Group], archive: Writer, saved: Saved
) -> None:
    tables = copying.tables(connection)
    [[revision]] = connection.execute(f"SELECT version_num FROM {SCHEMA}.alembic_version".encode()).fetchall()
    facts = {
        "format": FORMAT,
        "made_at": saved.made_at.isoformat(timespec="seconds"),
        "openpersonalize": version("openpersonalize"),
        "home": str(settings.home),
        "region": settings.region,
        "account_id": settings.account_id,
        "revision": revision,
        "tables": [asdict(table) for table in tables],
        "remote": settings.dvc_remote,
        "groups": {group.repository.group_id: group.name for group in groups},
    }
    archive.add(MANIFEST, [json.dumps(facts, indent=1).encode() + b"\n"])
    with Progress("tables", len(tables)) as progress:
        for table in tables:
            member = f"database/{table.name}.copy.gz"
            saved.rows[table.name] = archive.add(member, copying.rows(connection, table, saved.made_at))
            progress.advance()


def _repositories(groups: Iterable[_Group], archive: Writer, saved: Saved) -> None:
    found = [(group, path) for group in groups for path in group.objects]
    sizes = sum(path.stat().st_size for _, path in found)
    with Progress("MB of snapshots and versions", sizes / 1e6) as progress:
        for group in groups:
            if group.refs:
                _git(group, archive)
                _look_for_missing(group, saved)
        for group, path in found:
            name = f"remote/{group.repository.group_id}/{path.parent.name}/{path.name}"
            _object(group, path, name, archive, saved, lambda chunk: progress.advance(len(chunk) / 1e6))
            saved.objects += 1


def _git(group: _Group, archive: Writer) -> None:
    member = f"groups/{group.repository.group_id}"
    archive.add(f"{member}/{REFS}", [group.refs.encode()])
    with tempfile.TemporaryDirectory(prefix="op-backup-") as scratch:
        packed = Path(scratch) / PACK
        saving.pack(group.repository, group.refs, packed)
        with packed.open("rb") as stream:
            archive.add(f"{member}/{PACK}", read_chunks(stream))


def _look_for_missing(group: _Group, saved: Saved) -> None:
    if missing := saving.missing(group.repository, group.refs):
        where = group.repository.layout.remote_url
        saved.warnings.append(
            f"dataset group {group.name}: {len(missing)} of the directories that its versions name are not in {where}, "
            f"so those versions cannot be restored ({', '.join(missing[:3])})"
        )


def _object(group: _Group, path: Path, name: str, archive: Writer, saved: Saved, seen: Callable[[bytes], None]) -> None:
    digest = hashlib.md5(usedforsecurity=False)

    def chunks(stream: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in stream:
            digest.update(chunk)
            seen(chunk)
            yield chunk

    try:
        with path.open("rb") as stream:
            archive.add(name, chunks(read_chunks(stream)))
    except FileNotFoundError as error:
        raise BackupFailed(f"dataset group {group.name} was deleted during the backup: make it once more") from error
    if digest.hexdigest() != saving.digest(path):
        saved.warnings.append(
            f"dataset group {group.name}: {path} is damaged on the disk, and so in the backup: what needs it fails"
        )


def _files(settings: Settings, archive: Writer) -> None:
    for folder in (settings.imports_dir, settings.deletions_dir):
        for path in sorted(path for name in REPORTS for path in folder.glob(f"*/{name}")):
            _add(archive, f"{folder.name}/{path.parent.name}/{path.name}", path)
    for path in sorted(path for path in settings.secrets_dir.glob("*") if path.is_file()):
        _add(archive, f"secrets/{path.name}", path)


def _add(archive: Writer, name: str, path: Path) -> None:
    # One that goes meanwhile belongs to a job that is being deleted.
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        return
    with stream:
        archive.add(name, read_chunks(stream))
