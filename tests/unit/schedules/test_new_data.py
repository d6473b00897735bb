"""Whether interactions have come since a version's inputs were frozen."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Connection

from pipelines.datasets.snapshot import IMPORTED
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.schedules.new_data import new_data
from pipelines.settings import Settings
from pipelines.versions import claim
from tests.support.registry import add_dataset, add_group, add_solution
from tests.support.schedules import internal, stream
from tests.support.versions import look, new_version

TAG = {"tag": "data/d/import1", "rows": 5}


@pytest.fixture
def group(conn: Connection) -> Resource:
    with conn.begin():
        return add_group(conn)


@pytest.fixture
def dataset(conn: Connection, group: Resource) -> Resource:
    with conn.begin():
        return add_dataset(conn, group)


@pytest.fixture
def solution(conn: Connection, group: Resource) -> Resource:
    with conn.begin():
        return add_solution(conn, group)


@pytest.fixture
def asks(conn: Connection, solution: Resource) -> Callable[[Resource | None], bool]:
    def ask(since: Resource | None) -> bool:
        with conn.begin():
            return new_data(conn, solution, since)

    return ask


def trained(conn: Connection, settings: Settings, solution: Resource) -> Resource:
    version = new_version(conn, solution, "00000001")
    claim(settings, version.id)
    return look(conn, version.id)


def test_a_group_without_interactions_has_none(asks, dataset, conn, group) -> None:
    assert not asks(None)
    with conn.begin():
        stream(conn, group, "no-item", item=None)
    assert not asks(None)


def test_imported_or_streamed_they_are_new_to_a_solution_without_a_version(asks, dataset, conn, group) -> None:
    internal(conn, dataset.id, snapshot=TAG)
    assert asks(None)


def test_a_streamed_event_is_new_until_a_version_has_seen_it(asks, dataset, conn, group, settings, solution) -> None:
    with conn.begin():
        stream(conn, group, "e1")
    assert asks(None)
    version = trained(conn, settings, solution)
    assert not asks(version)
    with conn.begin():
        stream(conn, group, "e2")
    assert asks(version)


def test_an_import_is_new_and_a_compaction_or_deletion_is_not(asks, dataset, conn, settings, solution) -> None:
    internal(conn, dataset.id, snapshot=TAG, **{IMPORTED: "import1"})
    version = trained(conn, settings, solution)
    assert not asks(version)
    internal(conn, dataset.id, snapshot={**TAG, "tag": "data/d/import1-compacted"})
    assert not asks(version)
    internal(conn, dataset.id, snapshot={"tag": "data/d/import2", "rows": 5}, **{IMPORTED: "import2"})
    assert asks(version)


def test_a_dataset_of_before_imports_were_written_down_has_nothing_new(asks, dataset, conn, settings, solution) -> None:
    internal(conn, dataset.id, snapshot=TAG)
    version = trained(conn, settings, solution)
    assert not asks(version)
    internal(conn, dataset.id, **{IMPORTED: "import2"})
    assert asks(version)


def test_another_groups_data_is_not_ours(asks, dataset, conn) -> None:
    with conn.begin():
        other = add_group(conn, "other")
        theirs = add_dataset(conn, other)
        stream(conn, other, "e1")
        store.update(conn, theirs.id, internal={"snapshot": TAG})
    assert not asks(None)
