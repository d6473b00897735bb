"""What tests of batch jobs start from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipelines.batch import processes
from pipelines.settings import Settings
from tests.support.runtime import Shop


@pytest.fixture
def shop(settings: Settings) -> Iterator[Shop]:
    shop = Shop(settings)
    yield shop
    shop.close()


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """More take time to start, and find less to do."""
    monkeypatch.setattr(processes, "MOST", 1)
