"""A connection to a fresh database, as the reconciler's steps take it: outside of any transaction."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from pipelines.registry.database import engine
from pipelines.settings import Settings


@pytest.fixture
def conn(settings: Settings) -> Iterator[Connection]:
    database = engine(settings, pool_size=1)
    with database.connect() as connection:
        yield connection
    database.dispose()
