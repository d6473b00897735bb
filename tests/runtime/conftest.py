"""Fixtures of the runtime's tests: a shop in a database of its own, and the runtime that serves it."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from pipelines.platform.postgres import EmbeddedPostgres
from pipelines.settings import Settings
from tests.conftest import execute, platform_settings
from tests.support.runtime import Shop, client
from tests.support.runtime_servers import Server, uvicorn_runtime


@pytest.fixture
def shop(settings: Settings) -> Iterator[Shop]:
    shop = Shop(settings)
    yield shop
    shop.close()


@pytest.fixture
def url(shop: Shop) -> Iterator[str]:
    """The runtime under uvicorn in this process, one worker."""
    with uvicorn_runtime(shop.settings) as url:
        yield url


@pytest.fixture
def recommendations(url: str) -> Any:
    return client("personalize-runtime", url)


@pytest.fixture
def events(url: str) -> Any:
    return client("personalize-events", url)


@dataclass(frozen=True)
class Standing:
    """A runtime with one campaign of either recipe type, for tests that change nothing in the registry."""

    shop: Shop
    url: str
    campaign: str
    ranking: str

    @cached_property
    def recommendations(self) -> Any:
        return client("personalize-runtime", self.url)

    @cached_property
    def events(self) -> Any:
        return client("personalize-events", self.url)


@contextmanager
def module_shop(
    postgres: EmbeddedPostgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """A shop for a whole module, in a database of its own."""
    database = f"module_{uuid.uuid4().hex[:12]}"
    execute(postgres, f"CREATE DATABASE {database} TEMPLATE {migrated_template}")
    shop = Shop(platform_settings(tmp_path_factory.mktemp("module") / "home", postgres.url(database)))
    yield shop
    shop.close()
    execute(postgres, f"DROP DATABASE {database} WITH (FORCE)")


@pytest.fixture(scope="module")
def standing(
    postgres: EmbeddedPostgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Standing]:
    with (
        module_shop(postgres, migrated_template, tmp_path_factory) as shop,
        uvicorn_runtime(shop.settings) as url,
    ):
        campaign = shop.deploy(shop.add_version(items=60), "recommend")
        ranking = shop.deploy(shop.add_version("rank", recipe_type="PERSONALIZED_RANKING", items=60), "rank")
        yield Standing(shop, url, campaign, ranking)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(Path(tempfile.mkdtemp(prefix="op-outage-")))
    yield server
    server.close()
