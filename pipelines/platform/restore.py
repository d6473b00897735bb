"""`openpersonalize restore`: a backup into an empty home, for `openpersonalize up` to go on from.

Everything is held against its checksums before anything is written. Files come first and the database last, in one
transaction; a marker in the home lies there until all is done, and as long as it does the platform does not start and
the restore begins anew.
"""

from __future__ import annotations

import json
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sqlalchemy import text

from pipelines.disk import require_disk
from pipelines.platform import archive
from pipelines.platform.archive import MANIFEST, SUMS, BadArchive
from pipelines.platform.audit_command import note
from pipelines.platform.backup import FORMAT, PACK, REFS
from pipelines.platform.checks import check_home
from pipelines.platform.database import embedded_server, with_database
from pipelines.platform.recovery import end_leftovers
from pipelines.platform.state import locked, restore_marker, running_state
from pipelines.progress import Progress
from pipelines.registry import copying
from pipelines.registry.database import known_revisions, migrate_to, transaction
from pipelines.registry.tables import SCHEMA, audit
from pipelines.repository import GroupRepository, saving
from pipelines.settings import Settings

_MAY_BE_THERE = {"run", "logs", "data"}
"""In an empty home: what every command makes, and the customer's own files."""


class CannotRestore(RuntimeError):
    """Nothing that could be used was written; the message says why."""


@dataclass(frozen=True)
class Restored:
    """What came back."""

    made_at: str
    home: str
    """Where it came from."""
    rows: Mapping[str, int]
    groups: int
    objects: int


def restore(settings: Settings, source: Path) -> Restored:
    """Make the platform of `settings` the one that `source` holds; raises CannotRestore, BadArchive, OSError.

    And DBAPIError when the database does not take it.
    """
    if not source.is_file():
        raise CannotRestore(f"there is no file {source}")
    facts = _facts(source)
    _check_fit(settings, facts)
    size = source.stat().st_size
    with Progress("MB checked", size / 1e6) as progress:
        archive.verify(source, lambda count: progress.advance(count / 1e6))
    check_home(settings)
    with locked(settings.run_dir / "up.lock") as mine:
        if not mine or running_state(settings) is not None:
            raise CannotRestore("the platform runs: stop it with `openpersonalize down` first")
        end_leftovers(settings)
        _make_empty(settings)
        _check_database(settings)
        require_disk(settings.home, 2 * size)
        restore_marker(settings).write_text(f"{source}\n")
        objects = _files(settings, source)
        rows = _database(settings, source, facts)
        restore_marker(settings).unlink()
    return Restored(facts["made_at"], facts["home"], rows, len(facts["groups"]), objects)


def _facts(source: Path) -> dict[str, Any]:
    for name, content in archive.members(source):
        if name == MANIFEST:
            try:
                facts: dict[str, Any] = json.load(content)
            except (tarfile.TarError, ValueError) as error:
                raise BadArchive(f"{source} is damaged in {name}: {error}") from error
            return facts
        break
    raise BadArchive(f"{source} is no backup of OpenPersonalize")


def _check_fit(settings: Settings, facts: Mapping[str, Any]) -> None:
    """Whether this code and these settings can go on from it."""
    if facts["format"] != FORMAT or facts["revision"] not in known_revisions():
        raise CannotRestore(
            f"this backup was made by a newer version of OpenPersonalize ({facts['openpersonalize']}, database revision "
            f"{facts['revision']}): install that one, or a later one"
        )
    for name, ours in (("region", settings.region), ("account_id", settings.account_id)):
        if facts[name] != ours:
            raise CannotRestore(
                f"this backup is of {name.replace('_id', '')} {facts[name]}, which its ARNs name: "
                f"set OPENPERSONALIZE_{name.upper()}={facts[name]}"
            )
    theirs, ours = facts["remote"], settings.dvc_remote
    if "://" in theirs and theirs != ours:
        raise CannotRestore(
            f"the versions of this backup lie in {theirs}, not in its file: set OPENPERSONALIZE_DVC_REMOTE={theirs}"
        )
    if "://" in ours and theirs != ours:
        raise CannotRestore(
            f"this backup holds its versions itself: restore it without OPENPERSONALIZE_DVC_REMOTE={ours}"
        )


def _make_empty(settings: Settings) -> None:
    """Raise CannotRestore unless the home is empty, or holds no more than a restore that was cut short."""
    found = [path for path in settings.home.iterdir() if path.name not in _MAY_BE_THERE and not _is_empty_folder(path)]
    if not found:
        return
    if not restore_marker(settings).exists():
        raise CannotRestore(
            f"{settings.home} is not empty (it has {sorted(path.name for path in found)[0]}): move it away, or set "
            "OPENPERSONALIZE_HOME to another folder; a restore never overwrites"
        )
    for path in found:
        # The cluster stays, with an empty database: it may lie elsewhere, and the home has its address.
        if path.is_dir() and path.name != "postgres":
            shutil.rmtree(path)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


# Files -------------------------------------------------------------------------------------------------


def _files(settings: Settings, source: Path) -> int:
    """All but the database; how many objects the remotes got."""
    objects = 0
    with (
        tempfile.TemporaryDirectory(prefix=".restoring-", dir=settings.home) as scratch,
        Progress("MB restored", source.stat().st_size / 1e6) as progress,
    ):
        for name, content in archive.members(source):
            kind, _, rest = name.partition("/")
            if kind in ("database", MANIFEST, SUMS):
                continue
            _write(_target(settings, Path(scratch), kind, rest), content, lambda n: progress.advance(n / 1e6))
            objects += kind == "remote"
        for refs in sorted(Path(scratch).glob(f"*/{REFS}")):
            saving.unpack(GroupRepository(settings, refs.parent.name), refs.read_text(), refs.with_name(PACK))
    return objects


def _target(settings: Settings, scratch: Path, kind: str, rest: str) -> Path:
    """Where a member belongs; raises BadArchive for one that no backup has."""
    match kind:
        case "groups":
            return scratch / rest
        case "remote":
            group, _, name = rest.partition("/")
            return saving.place(GroupRepository(settings, group), name)
        case "imports" | "deletions":
            return (settings.imports_dir if kind == "imports" else settings.deletions_dir) / rest
        case "secrets":
            settings.secrets_dir.mkdir(mode=0o700, exist_ok=True)
            return settings.secrets_dir / rest
    raise BadArchive(f"the backup holds {kind}/{rest}, which this version does not know")


def _write(path: Path, content: IO[bytes], advance: Callable[[int], None]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.restoring")
    with partial.open("wb") as out:
        partial.chmod(0o600 if path.parent.name == "secrets" else 0o644)
        for chunk in archive.read_chunks(content):
            out.write(chunk)
            advance(len(chunk))
    partial.replace(path)


# Database ----------------------------------------------------------------------------------------------


def _check_database(settings: Settings) -> None:
    """Raise CannotRestore when the settings name a database that is in use."""
    if settings.database_url:
        with transaction(settings) as conn:
            if copying.holds_anything(conn):
                raise CannotRestore(
                    f"the database of OPENPERSONALIZE_DATABASE_URL holds resources already (schema {SCHEMA}): "
                    "give an empty one; a restore never overwrites"
                )


def _database(settings: Settings, source: Path, facts: Mapping[str, Any]) -> dict[str, int]:
    """The rows into an empty schema of their revision; `up` brings that to today's."""
    server = embedded_server(settings)
    tables = {
        f"database/{one['name']}.copy.gz": copying.Table(one["name"], tuple(one["columns"]), one["next_id"])
        for one in facts["tables"]
    }
    rows: dict[str, int] = {}
    with (
        server.serving(settings.logs_dir / "postgres.log") if server else nullcontext(),
        transaction(with_database(settings, server)) as conn,
    ):
        # Without resources; or left by a restore into our own server that was cut short at its very end.
        conn.execute(text(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))
        migrate_to(conn, facts["revision"])
        for name, content in archive.members(source):
            if name in tables:
                rows[tables[name].name] = copying.load(conn, tables[name], archive.read_chunks(content))
        copying.begin_unfinished_anew(conn)
        if audit.name in rows:
            note(conn, "restore", f"{source}, as of {facts['made_at']}")
    return rows
