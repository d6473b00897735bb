"""A group with and without data, for every test of versions."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection

from pipelines.settings import Settings
from tests.support.versions import World, import_nothing, make_world


@pytest.fixture
def world(conn: Connection, settings: Settings) -> World:
    return make_world(conn, settings)


@pytest.fixture
def imported(conn: Connection, world: World, tmp_path: Path) -> World:
    import_nothing(conn, world, tmp_path / "work")
    return world
