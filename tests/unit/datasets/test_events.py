"""Streamed events as a training sees them: up to a cut-off, with sessions stitched to users."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import Engine, insert

from pipelines.datasets.events import freeze, latest_event_id
from pipelines.registry.database import engine
from pipelines.registry.tables import events
from pipelines.settings import Settings

ALL = ("USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE", "EVENT_VALUE")


@pytest.fixture
def database(settings: Settings) -> Iterator[Engine]:
    found = engine(settings, pool_size=3)
    yield found
    found.dispose()


def event(n: int, **given: Any) -> dict[str, Any]:
    row = {
        "group_id": "g",
        "user_id": None,
        "session_id": "s",
        "event_id": f"e{n}",
        "event_type": "watch",
        "event_value": None,
        "item_id": f"i{n}",
        "sent_at": 1_600_000_000.75 + n,
        **given,
    }
    return {"user_key": row["user_id"] or row["session_id"], **row}


def frozen(database: Engine, tmp_path: Path, cutoff: int, columns: tuple[str, ...] = ALL) -> list[tuple[Any, ...]]:
    with database.connect() as conn:
        rows = freeze(conn, "g", cutoff, columns, tmp_path / "events")
    table = pq.read_table(tmp_path / "events" / "events.parquet")
    assert (table.column_names, table.num_rows) == (list(ALL), rows)
    return [tuple(row.values()) for row in table.to_pylist()]


def record(database: Engine, *rows: dict[str, Any]) -> None:
    with database.begin() as conn:
        for row in rows:
            conn.execute(insert(events).values(row))


def test_events_come_in_the_order_of_their_arrival_up_to_the_cutoff(database: Engine, tmp_path: Path) -> None:
    record(database, event(1, user_id="u", event_value=2.5), event(2, user_id="v", sent_at=5.0))
    with database.connect() as conn:
        cutoff = latest_event_id(conn, "g")
    record(database, event(3, user_id="u"), event(4, user_id="w", group_id="other"))
    assert frozen(database, tmp_path, cutoff) == [
        ("u", "i1", 1_600_000_001, "watch", 2.5),
        ("v", "i2", 5, "watch", None),
    ]


def test_an_anonymous_session_becomes_the_user_who_is_linked_to_it_later(database: Engine, tmp_path: Path) -> None:
    record(
        database,
        event(1, session_id="s1"),
        event(2, session_id="s2"),
        event(3, session_id="s1", user_id="u", item_id=None),
        event(4, session_id="s3"),
        event(5, session_id="s3", user_id="late"),
    )
    assert [row[:2] for row in frozen(database, tmp_path, 4)] == [("u", "i1")]
    assert [row[:2] for row in frozen(database, tmp_path, 5)] == [("u", "i1"), ("late", "i4"), ("late", "i5")]


def test_columns_that_the_schema_lacks_are_null(database: Engine, tmp_path: Path) -> None:
    record(database, event(1, user_id="u", event_value=1.0))
    assert frozen(database, tmp_path, 1, ("USER_ID", "ITEM_ID", "TIMESTAMP")) == [
        ("u", "i1", 1_600_000_001, None, None)
    ]


def test_no_events_are_an_empty_file_and_cutoff_zero(database: Engine, tmp_path: Path) -> None:
    with database.connect() as conn:
        assert latest_event_id(conn, "g") == 0
    assert frozen(database, tmp_path, 0) == []


def test_the_cutoff_waits_for_an_event_that_has_its_number_but_is_not_committed(database: Engine) -> None:
    """Without the lock, event 1 would be in no training: below the cut-off, but not there when it was frozen."""
    with database.connect() as slow:
        slow.execute(insert(events).values(event(1, user_id="u")))
        found: list[int] = []
        committed: list[bool] = []

        def ask() -> None:
            with database.begin() as conn:
                found.append(latest_event_id(conn, "g"))
                committed.append(slow_done.is_set())

        slow_done = threading.Event()
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(timeout=0.3)
        assert found == []
        slow_done.set()
        slow.commit()
        thread.join(timeout=10)
    assert (found, committed) == ([1], [True])
