"""A backup and what a restore makes of it: registry, Git and versions of one moment, whole or refused."""

from __future__ import annotations

import io
import json
import tarfile
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert, select, text
from typer.testing import CliRunner

from pipelines.datasets.snapshot import Snapshot
from pipelines.platform.archive import BadArchive, verify, writing
from pipelines.platform.backup import backup
from pipelines.platform.checks import CannotStart, check_before_start
from pipelines.platform.cli import app
from pipelines.platform.postgres import EmbeddedPostgres
from pipelines.platform.restore import CannotRestore, restore
from pipelines.platform.state import restore_marker
from pipelines.registry import experiments, wishes
from pipelines.registry.database import engine
from pipelines.registry.tables import SCHEMA, events, exposures, outbox, resources, served
from pipelines.repository import GroupRepository, saving
from pipelines.settings import Settings
from tests.conftest import execute, platform_settings
from tests.support.machines import machines
from tests.support.registry import add_campaign, add_group, add_version
from tests.support.versions import World, import_nothing, make_world

NOW = datetime.now(UTC)


@pytest.fixture
def target(postgres: EmbeddedPostgres, tmp_path: Path) -> Iterator[Settings]:
    """Another home with another, empty database."""
    database = f"restored_{uuid.uuid4().hex[:12]}"
    execute(postgres, f"CREATE DATABASE {database}")
    yield platform_settings(tmp_path / "elsewhere", postgres.url(database))
    execute(postgres, f"DROP DATABASE {database} WITH (FORCE)")


@pytest.fixture
def bare(conn: Connection, settings: Settings) -> World:
    """A group without data."""
    made = make_world(conn, settings)
    made.repository.ensure()
    return made


@pytest.fixture
def world(conn: Connection, settings: Settings, tmp_path: Path) -> World:
    """A group with a snapshot."""
    made = make_world(conn, settings)
    import_nothing(conn, made, tmp_path / "work")
    return made


def fill(conn: Connection, world: World) -> None:
    """A version that a campaign wants, events, a list that was answered, a job that runs, a report, a secret."""
    home = world.settings.home
    # A run's scratch, `work`, is not saved.
    run = home / "imports" / "first"
    for file, content in (
        (run / "report.html", "<p>ö"),
        (run / "work" / "report.html", "of a run"),
        (home / "secrets" / "access_keys", "a:b\n"),
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    with conn.begin():
        version = add_version(conn, world.solution, metrics={"coverage": 0.5})
        campaign = add_campaign(conn, version)
        experiment = experiments.begin(conn, campaign, version, version, 50)
        shown = {"experiment_id": experiment.id, "user_key": "u", "arm": "B", "first_at": NOW, "answers": 3}
        conn.execute(insert(exposures).values(shown))
        wishes.wish(conn, version, "solution_version")
        conn.execute(text(f"UPDATE {SCHEMA}.outbox SET started_at = now(), attempts = 3"))
        event = {"group_id": world.group.id, "user_key": "u", "session_id": "s", "event_type": "watch"}
        odd = 'tab\t, "quote", \\, newline\n, ö'
        conn.execute(insert(events), [{**event, "event_id": odd, "item_id": odd, "sent_at": 1.5}])
        conn.execute(text(f"SELECT setval('{SCHEMA}.events_id_seq', 41)"))
        answer = {"campaign_id": "c", "solution_version_id": "v", "items": ["i1"]}
        conn.execute(insert(served), [{**answer, "served_at": NOW, "recommendation_id": "r"}])


def rows(database: Engine) -> dict[str, Any]:
    with database.connect() as conn:
        return {table.name: conn.execute(select(table)).all() for table in (resources, events, served, exposures)}


def test_what_is_restored_is_what_was_there(conn: Connection, world: World, target: Settings, tmp_path: Path) -> None:
    fill(conn, world)
    saved = backup(world.settings, tmp_path / "b.tar", NOW)
    assert saved.warnings == [] and saved.groups == 1 and saved.objects > 1
    assert (tmp_path / "b.tar").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.glob("*b.tar*")] == ["b.tar"]

    found = restore(target, tmp_path / "b.tar")
    assert found.rows["events"] == 1 and found.groups == 1 and found.objects == saved.objects
    assert rows(engine(target)) == rows(engine(world.settings))
    before, after = (GroupRepository(one, world.group.id) for one in (world.settings, target))
    assert saving.refs(after) == saving.refs(before) != ""
    assert [p.name for p in saving.objects(after)] == [p.name for p in saving.objects(before)]
    assert (target.imports_dir / "first" / "report.html").read_text() == "<p>ö"
    assert not (target.imports_dir / "first" / "work").exists()
    assert (target.secrets_dir / "access_keys").stat().st_mode & 0o777 == 0o600
    assert not restore_marker(target).exists()
    [tag] = after.tags("data")
    after.materialise(tag, "snapshot", tmp_path / "snapshot")
    Snapshot.open(tmp_path / "snapshot").verify()
    # Numbers go on where they were, and what ran begins anew.
    with engine(target).begin() as there:
        assert there.execute(text(f"SELECT nextval('{SCHEMA}.events_id_seq')")).scalar_one() == 42
        assert there.execute(select(outbox.c.started_at, outbox.c.attempts)).all() == [(None, 0)]
    # A second time it would overwrite.
    with pytest.raises(CannotRestore, match="is not empty"):
        restore(target, tmp_path / "b.tar")


def test_one_moment_whatever_happens_meanwhile(
    conn: Connection, bare: World, target: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tags are deleted and a row comes after the moment: the backup has the ones and not the other; nothing is collected."""
    repository = bare.repository
    repository._git("tag", "sv/solution/version", "main")
    was, real, asked = saving.refs(repository), saving.pack, []

    def meanwhile(*given: Any) -> None:
        late = {"group_id": "late", "user_key": "u", "session_id": "s", "event_type": "w", "event_id": "e"}
        with conn.begin():
            conn.execute(insert(events), [{**late, "sent_at": 1.0}])
        repository.forget("solution/solution", "sv/solution")
        asked.append(repository.collect())
        real(*given)

    monkeypatch.setattr(saving, "pack", meanwhile)
    backup(bare.settings, tmp_path / "b.tar", NOW)
    restore(target, tmp_path / "b.tar")
    assert saving.refs(GroupRepository(target, bare.group.id)) == was != saving.refs(repository)
    assert asked == [False]
    assert "late" not in str(rows(engine(target)))


def test_a_group_that_comes_meanwhile_is_in_the_backup_as_a_whole(
    conn: Connection, bare: World, target: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, came = saving.kept, []

    def kept(repository: GroupRepository) -> Any:
        if not came:
            came.append(make_second(conn, bare.settings, tmp_path))
        return real(repository)

    monkeypatch.setattr(saving, "kept", kept)
    assert backup(bare.settings, tmp_path / "b.tar", NOW).groups == 2
    restore(target, tmp_path / "b.tar")
    assert saving.refs(GroupRepository(target, came[0])) != ""


def make_second(conn: Connection, settings: Settings, tmp_path: Path) -> str:
    with conn.begin():
        group = add_group(conn, "second")
    GroupRepository(settings, group.id).ensure()
    return group.id


def test_damaged_cut_and_foreign_files_are_refused_before_anything_is_written(
    bare: World, target: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "b.tar"
    backup(bare.settings, path, NOW)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[512] ^= 1  # of the first member: what fills a block of a tar up is not looked at
    empty_tar = io.BytesIO()
    tarfile.open(fileobj=empty_tar, mode="w").close()
    cut = (whole[: len(whole) * n // 16] for n in range(1, 15))
    for content in (bytes(flipped), *cut, b"no tar", b"", empty_tar.getvalue()):
        path.write_bytes(content)
        with pytest.raises(BadArchive):
            restore(target, path)
    assert {one.name for one in target.home.iterdir()} <= {"run", "logs"}


def test_a_backup_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "b.tar"
    with writing(path, 0.0) as archive:
        archive.add("manifest.json", [b"{}"])
    old = path.read_bytes()
    with pytest.raises(RuntimeError), writing(path, 0.0) as archive:
        archive.add("manifest.json", [b"new"])
        raise RuntimeError
    assert path.read_bytes() == old and [one.name for one in tmp_path.iterdir()] == ["b.tar"]
    assert list(verify(path, lambda _: None)) == ["manifest.json"]


def changed(path: Path, **facts: Any) -> Path:
    """The archive with other facts in its manifest."""
    with tarfile.open(path) as archive:
        held = {info.name: archive.extractfile(info).read() for info in archive}  # type: ignore[union-attr]
    manifest = json.loads(held.pop("manifest.json"))
    held.pop("SHA256SUMS")
    with writing(path, 0.0) as out:
        out.add("manifest.json", [json.dumps(manifest | facts).encode()])
        for name, content in held.items():
            out.add(name, [content])
    return path


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"revision": "9999"}, "newer version"),
        ({"region": "mars-1"}, "OPENPERSONALIZE_REGION=mars-1"),
        ({"account_id": "999999999999"}, "OPENPERSONALIZE_ACCOUNT_ID=999999999999"),
        ({"remote": "s3://shop/dvc"}, "OPENPERSONALIZE_DVC_REMOTE=s3://shop/dvc"),
    ],
)
def test_what_this_platform_cannot_go_on_from_is_refused(
    settings: Settings, target: Settings, tmp_path: Path, facts: dict[str, Any], words: str
) -> None:
    backup(settings, tmp_path / "b.tar", NOW)
    with pytest.raises(CannotRestore, match=words):
        restore(target, changed(tmp_path / "b.tar", **facts))


def test_a_database_in_use_is_not_touched(conn: Connection, bare: World, target: Settings, tmp_path: Path) -> None:
    backup(bare.settings, tmp_path / "b.tar", NOW)
    used = platform_settings(tmp_path / "third", bare.settings.database_url)
    with pytest.raises(CannotRestore, match="holds resources already"):
        restore(used, tmp_path / "b.tar")
    assert not restore_marker(used).exists()


def test_a_restore_that_was_cut_short_keeps_the_platform_from_starting_and_begins_anew(
    bare: World, target: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(bare.settings, tmp_path / "b.tar", NOW)
    with monkeypatch.context() as broken:
        broken.setattr("pipelines.platform.restore._database", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            restore(target, tmp_path / "b.tar")
    with pytest.raises(CannotStart, match="cut short"):
        check_before_start(target)
    restore(target, tmp_path / "b.tar")
    assert saving.refs(GroupRepository(target, bare.group.id)) != ""


def test_a_damaged_object_is_told_and_does_not_stop_the_backup(bare: World, tmp_path: Path) -> None:
    damaged = saving.place(bare.repository, "ab/" + "0" * 30)
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"other bytes")
    [warning] = backup(bare.settings, tmp_path / "b.tar", NOW).warnings
    assert str(damaged) in warning


@pytest.mark.soak
def test_of_a_bucket_it_is_seen_that_all_is_there(
    conn: Connection, settings: Settings, s3: Any, tmp_path: Path
) -> None:
    in_bucket = Settings.from_env({**settings.to_env(), "OPENPERSONALIZE_DVC_REMOTE": "s3://shop/dvc"})
    world = make_world(conn, in_bucket)
    import_nothing(conn, world, tmp_path / "work")
    saved = backup(in_bucket, tmp_path / "b.tar", NOW)
    assert (saved.objects, saved.warnings) == (0, [])
    for entry in s3.list_objects_v2(Bucket="shop")["Contents"]:
        s3.delete_object(Bucket="shop", Key=entry["Key"])
    [warning] = backup(in_bucket, tmp_path / "b.tar", NOW).warnings
    assert "1 of the directories" in warning and "s3://shop/dvc" in warning


def test_tags_of_every_machine_are_saved_and_given_back_to_a_git_remote(
    conn: Connection, settings: Settings, target: Settings, tmp_path: Path
) -> None:
    homes = machines(settings, tmp_path / "shared")
    here, there = next(homes), next(homes)
    with conn.begin():
        group = add_group(conn)
    with GroupRepository(there, group.id).worktree("some/branch", "job") as tree:
        tree.git("commit", "--quiet", "--allow-empty", "-m", "made elsewhere")
        tree._tag("sv/solution/version")
    backup(here, tmp_path / "b.tar", NOW)
    new = replace(target, git_remote=str(tmp_path / "new" / "tags.git"), dvc_remote=str(tmp_path / "new" / "remote"))
    restore(new, tmp_path / "b.tar")
    assert GroupRepository(new, group.id).tags("") == ["sv/solution/version"]


def test_commands_say_what_is_wrong_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENPERSONALIZE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("OPENPERSONALIZE_DATABASE_URL", raising=False)
    for arguments in (["backup", str(tmp_path / "b.tar")], ["restore", str(tmp_path / "no.tar")]):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 1 and len(result.output.strip().splitlines()) == 1, result.output
