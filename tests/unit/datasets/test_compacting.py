"""Compaction against a real registry and repository: same rows, and it gives way to everybody."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from pipelines.datasets import compacting, rewriting
from pipelines.datasets.rewriting_lock import alone, is_rewritten
from pipelines.registry import store
from pipelines.settings import Settings
from tests.support.bulk import Bulk
from tests.support.imports import decoded, interactions, text
from tests.support.registry import add, add_dataset

ITEM_HEADER = "ITEM_ID,GENRES,PRICE,DESCRIPTION,CREATION_TIMESTAMP"


@pytest.fixture
def shop(conn: Connection, settings: Settings, tmp_path: Path) -> Bulk:
    """Three parts of interactions, some rows in two of them."""
    made = Bulk(conn, settings, tmp_path / "shop")
    for start in (0, 900, 400):
        made.add(text(interactions(1000, start)))
    made.commit()
    return made


def test_a_training_reads_the_same_rows_before_and_after(shop: Bulk) -> None:
    before = shop.open("before")
    assert compacting.compact_one(shop.settings, shop.dataset.arn)
    after = shop.open("after")
    assert (len(before.manifest.parts), len(after.manifest.parts)) == (3, 1)
    assert sorted(map(repr, decoded(after))) == sorted(map(repr, decoded(before)))
    tag = shop.dataset.internal["snapshot"]["tag"]
    assert tag == f"data/{shop.id}/import3-compacted"
    assert shop.dataset.internal["snapshot"] == after.facts(tag)
    assert shop.repository.has(f"data/{shop.id}/import3"), "versions that were trained from it can be made again"
    assert not (shop.settings.imports_dir / shop.id).exists()


def test_only_many_parts_are_due(shop: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    with shop.conn.begin():
        add_dataset(shop.conn, shop.group, "ITEMS")
        assert compacting.due(shop.conn) == []
    monkeypatch.setattr(compacting, "MAX_PARTS", 2)
    assert compacting.compact_due(shop.settings) == 1
    assert compacting.compact_due(shop.settings) == 0


def test_an_import_that_comes_in_between_wins(shop: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    write = rewriting.rewrite

    def rewrite_while_an_import_ends(*given: Any, **named: Any) -> Any:
        with shop.conn.begin():
            store.update(shop.conn, shop.id, internal={"snapshot": {"tag": "newer", "rows": 1, "parts": 1, "bytes": 1}})
        return write(*given, **named)

    monkeypatch.setattr(rewriting, "rewrite", rewrite_while_an_import_ends)
    assert not compacting.compact_one(shop.settings, shop.dataset.arn)
    assert shop.dataset.internal["snapshot"]["tag"] == "newer"


def test_parts_that_streamed_records_keep_apart_are_left_alone(
    conn: Connection, settings: Settings, tmp_path: Path
) -> None:
    shop = Bulk(conn, settings, tmp_path / "shop", "ITEMS")
    for number in (1, 2):
        shop.add(text([f"a,x,{number},,"], ITEM_HEADER), after=number)
    shop.commit()
    assert not compacting.compact_one(settings, shop.dataset.arn)
    assert shop.dataset.internal["snapshot"]["tag"] == f"data/{shop.id}/import2"


@pytest.mark.parametrize("status", [store.PENDING, store.IN_PROGRESS])
def test_nothing_is_compacted_while_users_are_being_deleted(shop: Bulk, status: str) -> None:
    with shop.conn.begin():
        add(shop.conn, "DataDeletionJob", "leave", status=status, group=shop.group, parent=shop.group)
    assert not compacting.compact_one(shop.settings, shop.dataset.arn)


def test_a_dataset_on_its_way_out_is_left_alone(shop: Bulk) -> None:
    with shop.conn.begin():
        store.update(shop.conn, shop.id, status=store.DELETE_PENDING)
    assert not compacting.compact_one(shop.settings, shop.dataset.arn)


def test_of_two_at_once_one_does_it(shop: Bulk) -> None:
    with alone(shop.settings, shop.id) as free:
        assert free
        assert not compacting.compact_one(shop.settings, shop.dataset.arn)
        with shop.conn.begin():
            assert is_rewritten(shop.conn, shop.id)
    with shop.conn.begin():
        assert not is_rewritten(shop.conn, shop.id)


def test_who_waits_comes_next(shop: Bulk) -> None:
    order: list[str] = []

    def second() -> None:
        with alone(shop.settings, shop.id, wait=True) as free:
            order.append(f"second {free}")

    with alone(shop.settings, shop.id):
        waiting = threading.Thread(target=second)
        waiting.start()
        order.append("first")
    waiting.join(timeout=10)
    assert order == ["first", "second True"]


def test_what_cannot_be_compacted_is_refused_with_the_reason(shop: Bulk) -> None:
    with shop.conn.begin():
        empty = add_dataset(shop.conn, shop.group, "USERS")
    for arn, said in ((shop.group.arn, "no dataset"), ("arn:none", "no dataset"), (empty.arn, "no import")):
        with pytest.raises(compacting.NothingToCompact, match=said):
            compacting.compact_one(shop.settings, arn)
