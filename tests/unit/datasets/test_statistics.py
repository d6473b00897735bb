"""Statistics of a group: exact numbers over all parts, what was streamed since, and what is not there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert

from pipelines.datasets.statistics import Statistics
from pipelines.platform.finding import NotFound
from pipelines.platform.postgres import EmbeddedPostgres
from pipelines.platform.statistics_command import as_json, collect, lines
from pipelines.registry import store
from pipelines.registry.database import engine
from pipelines.registry.tables import events, records
from pipelines.settings import Settings
from tests.conftest import execute, platform_settings
from tests.support.bulk import Bulk
from tests.support.imports import text
from tests.support.registry import add, add_dataset

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def shop(
    postgres: EmbeddedPostgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bulk]:
    """Two parts of interactions by 3 users with 3 items, 4 items of which one nobody touched, no users' data."""
    execute(postgres, f"CREATE DATABASE statistics TEMPLATE {migrated_template}")
    folder = tmp_path_factory.mktemp("statistics")
    settings = platform_settings(folder / "home", postgres.url("statistics"))
    database = engine(settings, pool_size=2)
    with database.connect() as conn:
        yield fill(conn, settings, folder)
    database.dispose()
    execute(postgres, "DROP DATABASE statistics WITH (FORCE)")


def fill(conn: Connection, settings: Settings, folder: Path) -> Bulk:
    log = Bulk(conn, settings, folder / "log")
    log.add(text(["u1,i1,100,watch,1", "u1,i2,200,watch,", "u2,i1,300,click,"]))
    log.add(text(["u3,i3,50,watch,2"]))
    log.commit()
    items = Bulk(conn, settings, folder / "items", "ITEMS", log.group)
    items.add(text([f"i{n},x,{n},," for n in range(1, 5)], "ITEM_ID,GENRES,PRICE,DESCRIPTION,CREATION_TIMESTAMP"))
    items.commit()
    with conn.begin():
        add_dataset(conn, log.group, "USERS")
        dataset = store.get(conn, id=log.id)
        done = {"kept": 4, "rejected": 1, "report": "/r.html"}
        add(conn, "DatasetImportJob", "second", group=log.group, parent=dataset, internal=done)
        event = {"group_id": log.group.id, "user_key": "u", "session_id": "s", "event_type": "watch", "sent_at": 1.0}
        for number, at in enumerate((NOW - timedelta(days=1), NOW + timedelta(hours=1))):
            conn.execute(insert(events).values({**event, "event_id": str(number), "received_at": at}))
        conn.execute(insert(records).values(dataset_id=items.id, record_id="i9", properties={}))
    return log


def by_type(shop: Bulk) -> dict[str, Statistics]:
    return {one.dataset_type: one for one in collect(shop.settings, "shop")}


def test_bulk_data_is_counted_over_all_parts(shop: Bulk) -> None:
    log = by_type(shop)["INTERACTIONS"]
    assert (log.rows, log.parts, log.bytes > 1000) == (4, 2, True)
    assert (log.distinct, log.first, log.last) == ({"users": 3, "items": 3}, 50, 300)
    assert log.event_types == {"watch": 3, "click": 1}
    assert log.filled == {"TIMESTAMP": 1, "EVENT_TYPE": 1, "EVENT_VALUE": 0.5}
    assert log.idle == {"items": 0.25}, "of users nothing was imported"
    assert log.uncounted is None


def test_items_have_columns_and_no_time(shop: Bulk) -> None:
    items = by_type(shop)["ITEMS"]
    assert (items.rows, items.distinct, items.first, items.event_types) == (4, {"items": 4}, None, {})
    assert items.filled == {"GENRES": 1, "PRICE": 1, "DESCRIPTION": 0, "CREATION_TIMESTAMP": 0}


def test_what_was_streamed_is_counted_since_import_and_training(shop: Bulk) -> None:
    found = by_type(shop)
    assert found["INTERACTIONS"].streamed == {"total": 2, "since_last_import": 1, "since_last_training": 2}
    assert found["ITEMS"].streamed == {"total": 1, "since_last_import": 1, "since_last_training": 1}


def test_the_last_import_is_shown_with_its_verdict(shop: Bulk) -> None:
    last = by_type(shop)["INTERACTIONS"].last_import
    assert last is not None
    assert (last["name"], last["status"], last["kept"], last["rejected"]) == ("second", "ACTIVE", 4, 1)


def test_a_dataset_without_data_says_so(shop: Bulk) -> None:
    users = by_type(shop)["USERS"]
    assert (users.rows, users.last_import, users.streamed["total"]) == (0, None, 0)
    assert lines([users]) == [
        f"{'USERS':24}no bulk data",
        "  last import           none yet",
        "  streamed              nothing",
    ]


def test_a_snapshot_that_is_not_on_this_disk_is_not_fetched(shop: Bulk) -> None:
    cache = shop.repository.layout.cache
    cache.rename(cache.with_name("away"))
    log = by_type(shop)["INTERACTIONS"]
    cache.with_name("away").rename(cache)
    assert (log.rows, log.distinct, log.uncounted) == (4, {}, "its snapshot lies in the remote only")


def test_a_person_reads_a_table_a_dataset(shop: Bulk) -> None:
    shown = "\n".join(lines(collect(shop.settings, shop.group.arn)))
    for said in (
        "INTERACTIONS            4 rows in 2 parts",
        "  last import           second, ACTIVE",
        "4 rows kept, 1 rejected",
        "  streamed              2 rows, 1 since the last import, 2 since the last training",
        "  users, items          3, 3",
        "  from, to              1970-01-01 00:00:50, 1970-01-01 00:05:00 UTC",
        "  without interactions  items 25.0%",
        "  event types           watch 3, click 1",
        "  filled                TIMESTAMP 100 %, EVENT_TYPE 100 %, EVENT_VALUE 50 %",
    ):
        assert said in shown


def test_a_program_reads_json(shop: Bulk) -> None:
    found = json.loads(as_json(collect(shop.settings, "shop")))
    assert [one["dataset_type"] for one in found] == ["INTERACTIONS", "ITEMS", "USERS"]
    assert found[0]["event_types"] == {"watch": 3, "click": 1}


def test_a_group_that_is_not_there_is_named_with_those_that_are(shop: Bulk) -> None:
    with pytest.raises(NotFound, match="'shopp'; the newest are shop"):
        collect(shop.settings, "shopp")
