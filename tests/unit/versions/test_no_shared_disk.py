"""Every task on a machine of its own, with nothing in common but the database and the two remotes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection

from pipelines import deletions
from pipelines.datasets import handover, importing
from pipelines.deletions import DeletionRefused
from pipelines.platform.upkeep import discard_artefacts
from pipelines.registry import store
from pipelines.repository import GroupRepository
from pipelines.serving.artefact import Artefact
from pipelines.serving.local import fetch, model_directory
from pipelines.settings import Settings
from pipelines.versions import claim, publish, reproduce
from tests.support.artefacts import make_artefact
from tests.support.machines import data_of_groups, machines
from tests.support.registry import add
from tests.support.versions import World, import_nothing, look, make_world, new_version, tiny_stages

LEAVER, STAYER = "4f1c9a0b7d3e58264f1c9a0b7d3e5826", "4f1c9a0b7d3e58264f1c9a0b7d3e5821"


@pytest.fixture
def homes(settings: Settings, tmp_path: Path) -> Iterator[Settings]:
    return machines(settings, tmp_path / "shared")


@pytest.fixture
def world(conn: Connection, settings: Settings) -> World:
    return make_world(conn, settings)


def import_job(conn: Connection, world: World, name: str, *rows: str) -> store.Resource:
    """A pending import of these rows (user, item, time, type)."""
    path = world.settings.home.parent / f"{name}.csv"
    path.write_text("\n".join(["USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE", *rows]) + "\n")
    with conn.begin():
        dataset = store.in_group(conn, world.group.id, "Dataset")[0]
        doc = {"dataSource": {"dataLocation": path.as_uri()}, "importMode": "FULL", "datasetArn": dataset.arn}
        return add(
            conn, "DatasetImportJob", name, status=store.CREATE_PENDING, group=world.group, parent=dataset, doc=doc
        )


def rows_of(*users: str) -> list[str]:
    return [f"{user},i{n % 7},{1_700_000_000 + n},watch" for user in users for n in range(600)]


def run_import(homes: Iterator[Settings], job: store.Resource) -> None:
    for task in (importing.load, importing.check, importing.commit):
        task(next(homes), job.id)


def left_on(home: Settings) -> list[Path]:
    """Work files of jobs, and data."""
    folders = (home.imports_dir, home.deletions_dir, home.exports_dir)
    return data_of_groups(home) + [path for folder in folders for path in folder.rglob("*") if path.is_file()]


@pytest.mark.soak
def test_from_a_snapshot_to_what_the_runtime_loads(
    conn: Connection, world: World, homes: Iterator[Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_stages(monkeypatch, tmp_path)
    used = [next(homes) for _ in range(4)]
    import_nothing(conn, replace(world, settings=used[0]), tmp_path / "work")
    version = new_version(conn, world.solution, "00000001")
    for home, step in zip(used[1:], (claim, reproduce, publish), strict=True):
        step(home, version.id)
    assert look(conn, version.id).status == store.ACTIVE
    assert [left_on(home) for home in used] == [[]] * 4
    assert not model_directory(used[3], world.solution.id, version.id).exists()
    runtime = next(homes)
    Artefact.open(fetch(runtime, world.solution.id, version.id))
    assert data_of_groups(runtime) == []


@pytest.mark.soak
def test_an_import_goes_from_machine_to_machine(conn: Connection, world: World, homes: Iterator[Settings]) -> None:
    job = import_job(conn, world, "first", *rows_of("u1", "u2"), "u3,i1,never,watch")
    used = [next(homes) for _ in range(3)]
    for home, task in zip(used, (importing.load, importing.check, importing.commit), strict=True):
        task(home, job.id)
    assert look(conn, job.id).status == store.ACTIVE
    assert [left_on(home) for home in used] == [[]] * 3
    with handover.opened(next(homes), job.id) as folder:
        assert sorted(path.name for path in folder.iterdir()) == ["rejects.parquet", "report.html"]
        assert "never" in (folder / "report.html").read_text()


@pytest.mark.soak
def test_an_import_that_is_refused_says_why_on_every_machine(
    conn: Connection, world: World, homes: Iterator[Settings]
) -> None:
    job = import_job(conn, world, "bad", "u1,i1,never,watch")
    importing.load(next(homes), job.id)
    with pytest.raises(importing.ImportRefused):
        importing.check(next(homes), job.id)
    assert look(conn, job.id).status == store.CREATE_FAILED
    with handover.opened(next(homes), job.id) as folder:
        assert "never" in (folder / "report.html").read_text()


@pytest.mark.soak
def test_who_is_deleted_is_gone_from_both_remotes_and_from_every_machine(
    conn: Connection, world: World, homes: Iterator[Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artefact = make_artefact(tmp_path / "artefact", users=8, items=40, events=4, user_prefix=LEAVER[:-1])
    tiny_stages(monkeypatch, tmp_path, artefact=artefact)
    run_import(homes, import_job(conn, world, "first", *rows_of(LEAVER, STAYER), f"{LEAVER},i1,never,watch"))
    version = new_version(conn, world.solution, "00000001")
    for step in (claim, reproduce, publish):
        step(next(homes), version.id)
    runtime = next(homes)
    loaded = fetch(runtime, world.solution.id, version.id)
    users = tmp_path / "users.csv"
    users.write_text(f"USER_ID\n{LEAVER}\n")
    with conn.begin():
        doc = {"dataSource": {"dataLocation": users.as_uri()}, "datasetGroupArn": world.group.arn}
        job = add(conn, "DataDeletionJob", "leaver", status=store.PENDING, group=world.group, doc=doc)
    deletions.read(next(homes), job.id)
    assert deletions.sweep(next(homes), job.id)
    deletions.clean(next(homes), job.id)
    users.write_text("USER_ID\nsomebody-else\n")
    with pytest.raises(DeletionRefused, match="is not what it was when this job began"):
        deletions.finish(next(homes), job.id)
    users.write_text(f"USER_ID\n{LEAVER}\n")
    last = next(homes)
    deletions.finish(last, job.id)
    assert look(conn, job.id).status == store.COMPLETED
    discard_artefacts(conn, runtime)
    assert not loaded.exists()
    shared = [path for path in (tmp_path / "shared").rglob("*") if path.is_file()]
    assert not [path for path in shared if LEAVER.encode() in path.read_bytes()]
    repository = GroupRepository(next(homes), world.group.id)
    assert not repository.tags("sv") and not repository.tags("imports")
    [snapshot] = repository.tags("data")
    repository.materialise(snapshot, "snapshot", tmp_path / "now")
    assert left_on(last) == [last.deletions_dir / job.id / "report.html"]
