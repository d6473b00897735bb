"""The Items dataset as files: what a training would read, what newer records are read as, and which folder is the newest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pipelines.platform.upkeep import discard_artefacts
from pipelines.registry import store
from pipelines.serving.item_table import ItemTable, Moment
from pipelines.serving.local_items import fetch_items, tables_directory
from pipelines.serving.newer import of_records
from pipelines.settings import Settings
from pipelines.versions import item_tables
from tests.support.items import SCHEMA
from tests.support.runtime import Shop

CELLS = ("3", "3.0", "+7", "-2.50", "1e3", "1e39", "0.1", "4.3", "16777217", "9223372036854775807", "9223372036854775808",
         "abc", "", "true", "True", "FALSE", "a|b", "nan", "16777216.5", None)  # fmt: skip


@pytest.fixture
def shop(settings: Settings) -> Iterator[Shop]:
    shop = Shop(settings)
    yield shop
    shop.close()


@pytest.fixture
def dataset(shop: Shop) -> str:
    """Id of an Items dataset."""
    arn = shop.add_dataset("ITEMS", SCHEMA)
    with shop.engine.begin() as conn:
        found = store.get(conn, arn=arn)
    assert found is not None
    return found.id


def put(shop: Shop, dataset: str, item: str, properties: dict[str, Any]) -> None:
    statement = (
        "INSERT INTO openpersonalize.records (dataset_id, record_id, properties) VALUES (%s, %s, %s) RETURNING id"
    )
    shop.query(statement, dataset, item, json.dumps(properties))


def test_a_record_is_read_as_a_training_reads_it_whatever_its_cells_are(shop: Shop, dataset: str) -> None:
    keys = ("genres", "price", "year", "creationTimestamp", "blurb", "onSale")
    records = {f"i{n}": {key: cell for key in keys if cell is not None} for n, cell in enumerate(CELLS)}
    for record in records.values():
        if len(record.get("year", "")) > 18:
            del record["year"]  # of 32 bits: PutItems lets none in
    for item, record in records.items():
        put(shop, dataset, item, record)
    table = ItemTable.open(item_tables.build(shop.settings, dataset))
    names = {name: name for name in table.columns.by_name}
    assert len(names) == 9
    for item, record in records.items():
        newer = of_records([record], table.columns)
        assert table.values(item, names, newer) == table.values(item, names, None), record


def test_a_newer_table_takes_the_place_of_the_old_one_which_readers_keep(shop: Shop, dataset: str) -> None:
    put(shop, dataset, "i0", {"year": 1})
    first = ItemTable.open(item_tables.build(shop.settings, dataset))
    put(shop, dataset, "i0", {"year": 2})
    put(shop, dataset, "i1", {"year": 3})
    item_tables.build(shop.settings, dataset)
    second = fetch_items(shop.settings, dataset, first.moment._replace(records=first.moment.records + 2))
    assert [path.name for path in tables_directory(shop.settings, dataset).iterdir()] == [second.moment.name]
    assert Moment.of(second.moment.name) == second.moment
    assert [table.values("i0", {"YEAR": "YEAR"}, None) for table in (first, second)] == [{"YEAR": "1"}, {"YEAR": "2"}]
    assert first.values("i1", {"YEAR": "YEAR"}, None) == {}


def test_tables_of_a_dataset_that_is_gone_go_too(shop: Shop, dataset: str) -> None:
    folder = item_tables.build(shop.settings, dataset)
    with shop.engine.connect() as conn:
        discard_artefacts(conn, shop.settings)
        assert folder.exists()
        with conn.begin():
            store.delete(conn, dataset)
        discard_artefacts(conn, shop.settings)
    assert not folder.parent.exists()
    with pytest.raises(item_tables.DatasetGone):
        item_tables.build(shop.settings, dataset)
