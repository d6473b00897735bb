"""A group with and without data, and a version whose training hangs, for every test of versions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from pipelines import stages_definition
from pipelines.settings import Settings
from pipelines.versions import claim
from tests.support.attempts import Scene
from tests.support.versions import World, import_nothing, make_world, new_version, tiny_stages


@pytest.fixture
def world(conn: Connection, settings: Settings) -> World:
    return make_world(conn, settings)


@pytest.fixture
def imported(conn: Connection, world: World, tmp_path: Path) -> World:
    import_nothing(conn, world, tmp_path / "work")
    return world


@pytest.fixture
def scene(conn: Connection, imported: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    marks, hold = tmp_path / "marks", tmp_path / "hold"
    prepare = f"echo prepared >> {marks}; mkdir data/prepared && cp data/inputs/items/manifest.json data/prepared/"
    tiny_stages(monkeypatch, tmp_path, prepare=prepare)
    hang = f"sh -c 'echo packaging; while [ -e {hold} ]; do sleep 0.2; done; echo packaged >> {marks}'"
    text = stages_definition.group_dvc_yaml().replace(
        "cmd: mkdir -p data/reports", f"cmd: {hang} && mkdir -p data/reports"
    )
    monkeypatch.setattr(stages_definition, "group_dvc_yaml", lambda: text)
    hold.touch()
    scene = Scene(imported, new_version(conn, imported.solution, "00000001"), marks, hold)
    claim(imported.settings, scene.version.id)
    yield scene
    hold.unlink(missing_ok=True)
    for job in scene.attempts:
        job.kill()
        job.communicate()
