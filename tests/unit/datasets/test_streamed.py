"""Streamed rows in a schema's columns: up to a cut-off, with sessions stitched to users and values of the right types."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import Engine, insert

from pipelines.datasets import streamed
from pipelines.datasets.schema import ARRIVAL, DatasetType, Schema, read_schema
from pipelines.registry.database import engine
from pipelines.registry.store import Resource
from pipelines.registry.tables import action_events, events, records
from pipelines.settings import Settings
from tests.support.imports import avro
from tests.support.registry import add_dataset, add_group

PLAIN = {"USER_ID": "string", "ITEM_ID": "string", "TIMESTAMP": "long"}
OWN: dict[str, Any] = {
    "TEXT": ["null", "string"],
    "WHOLE": ["null", "int"],
    "LONG_ONE": ["null", "long"],
    "SINGLE": ["null", "float"],
    "NUM_RATINGS": ["null", "double"],
    "IS_NEW": ["null", "boolean"],
}


@pytest.fixture
def database(settings: Settings) -> Iterator[Engine]:
    found = engine(settings, pool_size=3)
    yield found
    found.dispose()


def schema(kind: DatasetType, **fields: Any) -> Schema:
    return read_schema(avro(kind.title(), **fields), kind)


def dataset(database: Engine, kind: DatasetType) -> Resource:
    with database.begin() as conn:
        return add_dataset(conn, add_group(conn), kind)


def put_events(database: Engine, owner: Resource, *rows: dict[str, Any]) -> None:
    """Events of one group, in this order; what a row does not say is in no test's way."""
    with database.begin() as conn:
        for n, given in enumerate(rows, start=1):
            row = {
                "group_id": owner.group_id, "user_id": None, "session_id": "s", "event_id": f"e{n}",
                "event_type": "watch", "item_id": f"i{n}", "sent_at": 1_600_000_000.75 + n, **given,
            }  # fmt: skip
            conn.execute(insert(events).values({"user_key": row["user_id"] or row["session_id"], **row}))


def put_records(database: Engine, owner: Resource, *rows: tuple[str, dict[str, Any] | None]) -> None:
    with database.begin() as conn:
        for record_id, properties in rows:
            conn.execute(insert(records).values(dataset_id=owner.id, record_id=record_id, properties=properties))


def rows_of(database: Engine, owner: Resource, columns: Schema, cutoff: int, **given: bool) -> list[tuple[Any, ...]]:
    """Rows without the number of their arrival."""
    with database.connect() as conn:
        table = pa.concat_tables(streamed.tables(conn, owner, columns, cutoff, **given))
    assert table.column_names == [*columns.names, ARRIVAL]
    return [tuple(row.values())[:-1] for row in table.to_pylist()]


def test_events_come_in_the_order_of_their_arrival_up_to_the_cutoff(database: Engine) -> None:
    owner = dataset(database, "INTERACTIONS")
    put_events(database, owner, {"user_id": "u"}, {"user_id": "v", "sent_at": 5.0}, {"user_id": "w", "group_id": "x"})
    with database.begin() as conn:
        cutoff = streamed.newest_event(conn, str(owner.group_id))
    put_events(database, owner, {"user_id": "late", "event_id": "later"})
    assert rows_of(database, owner, schema("INTERACTIONS", **PLAIN), cutoff) == [
        ("u", "i1", 1_600_000_001),
        ("v", "i2", 5),
    ]


def test_an_anonymous_session_becomes_the_user_who_is_linked_to_it_later(database: Engine) -> None:
    owner = dataset(database, "INTERACTIONS")
    put_events(
        database,
        owner,
        {"session_id": "s1"},
        {"session_id": "s2"},
        {"session_id": "s1", "user_id": "u", "item_id": None},
        {"session_id": "s3"},
        {"session_id": "s3", "user_id": "late"},
    )
    names = schema("INTERACTIONS", **PLAIN)
    assert [row[:2] for row in rows_of(database, owner, names, 4)] == [("u", "i1")]
    assert [row[:2] for row in rows_of(database, owner, names, 5)] == [("u", "i1"), ("late", "i4"), ("late", "i5")]


def test_an_export_shows_sessions_of_nobody_under_their_own_id(database: Engine) -> None:
    owner = dataset(database, "INTERACTIONS")
    put_events(database, owner, {"session_id": "s1"}, {"session_id": "s2"}, {"session_id": "s2", "user_id": "u"})
    found = rows_of(database, owner, schema("INTERACTIONS", **PLAIN), 9, anonymous=True)
    assert [row[0] for row in found] == ["s1", "u", "u"]


def test_every_reserved_field_and_own_context_is_filled(database: Engine) -> None:
    owner = dataset(database, "INTERACTIONS")
    columns = schema(
        "INTERACTIONS",
        EVENT_VALUE=["null", "float"],
        DEVICE_KIND=["null", "string"],
        **PLAIN,
        EVENT_TYPE="string",
        IMPRESSION="string",
        RECOMMENDATION_ID="string",
        EVENT_ATTRIBUTION_SOURCE="string",
    )
    told = {
        "user_id": "ü", "event_value": 2.1, "properties": {"deviceKind": 'a "b",\n\\'}, "impression": ["x", "y"],
        "recommendation_id": "R", "attribution_source": "mail",
    }  # fmt: skip
    put_events(database, owner, told, {"user_id": "v"})
    first, second = rows_of(database, owner, columns, 9)
    assert first[0] == pytest.approx(2.1, abs=1e-6)
    assert first[1:] == ('a "b",\n\\', "ü", "i1", 1_600_000_001, "watch", "x|y", "R", "mail")
    assert second == (None, None, "v", "i2", 1_600_000_002, "watch", None, None, None)


@pytest.mark.parametrize("kind", ["ITEMS", "USERS", "ACTIONS"])
def test_records_come_with_their_properties_in_the_schemas_types(database: Engine, kind: DatasetType) -> None:
    id_column = {"ITEMS": "ITEM_ID", "USERS": "USER_ID", "ACTIONS": "ACTION_ID"}[kind]
    owner = dataset(database, kind)
    numbers = {"whole": "7", "longOne": 2**60, "single": "0.5", "numRatings": 1e3, "isNew": True, "text": ""}
    put_records(database, owner, ("a", numbers), ("a", {"text": None, "isNew": "false"}), ("b", None))
    assert rows_of(database, owner, schema(kind, **{id_column: "string"}, **OWN), 9) == [
        ("a", "", 7, 2**60, 0.5, 1000.0, True),
        ("a", None, None, None, None, None, False),
        ("b", *[None] * 6),
    ]


@pytest.mark.parametrize("value", ["many", "5.7", 2**70, 1e300, "nan", [1], {"a": 1}, "", " ", True])
def test_a_value_that_does_not_fit_the_schema_any_more_is_null(database: Engine, value: Any) -> None:
    owner = dataset(database, "ITEMS")
    put_records(database, owner, ("a", {"whole": value}))
    assert rows_of(database, owner, schema("ITEMS", ITEM_ID="string", WHOLE=["null", "int"]), 9) == [("a", None)]


def test_every_way_to_write_a_whole_number_that_put_calls_accept_is_kept(database: Engine) -> None:
    owner, columns = dataset(database, "ITEMS"), schema("ITEMS", ITEM_ID="string", LONG_ONE=["null", "long"])
    ways = {"5": 5, "+5": 5, "5.": 5, "007": 7, "-3.00": -3, str(2**63 - 1): 2**63 - 1, "9007199254740993.0": 2**53 + 1}
    put_records(database, owner, *[(way, {"longOne": way}) for way in ways], ("json", {"longOne": 1e3}))
    assert dict(rows_of(database, owner, columns, 99)) == {**ways, "json": 1000}


def test_numbers_out_of_a_floats_range_and_other_words_than_true_or_false_are_null(database: Engine) -> None:
    owner = dataset(database, "ITEMS")
    put_records(database, owner, ("a", {"single": 1e300, "numRatings": "inf", "isNew": "maybe"}))
    assert rows_of(database, owner, schema("ITEMS", ITEM_ID="string", **OWN), 9) == [("a", *[None] * 6)]


def test_action_interactions_are_stitched_as_interactions_are(database: Engine) -> None:
    owner = dataset(database, "ACTION_INTERACTIONS")
    columns = schema(
        "ACTION_INTERACTIONS",
        USER_ID="string",
        ACTION_ID="string",
        EVENT_TYPE="string",
        TIMESTAMP="long",
        PLACE="string",
    )
    rows = [("s1", None), ("s2", None), ("s1", "u")]
    with database.begin() as conn:
        for n, (session, user) in enumerate(rows):
            conn.execute(
                insert(action_events).values(
                    dataset_id=owner.id, user_key=user or session, user_id=user, session_id=session, event_id=str(n),
                    event_type="TAKEN", action_id="a", sent_at=n + 0.5, properties={"place": "here"},
                )
            )  # fmt: skip
        assert streamed.newest(conn, owner) == 3
    assert rows_of(database, owner, columns, 3) == [("u", "a", "TAKEN", 0, "here"), ("u", "a", "TAKEN", 2, "here")]
    assert [row[0] for row in rows_of(database, owner, columns, 3, anonymous=True)] == ["u", "s2", "u"]


def test_nothing_streamed_is_one_empty_table_and_cutoff_zero(database: Engine) -> None:
    owner = dataset(database, "INTERACTIONS")
    with database.begin() as conn:
        assert streamed.newest(conn, owner) == 0
    assert rows_of(database, owner, schema("INTERACTIONS", **PLAIN), 0) == []


def test_many_batches_are_one_stream(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "BATCH_BYTES", 40)
    owner = dataset(database, "ITEMS")
    put_records(database, owner, *[(f"i{n}", {"text": "x\n" * n}) for n in range(20)])
    found = rows_of(database, owner, schema("ITEMS", ITEM_ID="string", **OWN), 99)
    assert [(row[0], row[1]) for row in found] == [(f"i{n}", "x\n" * n) for n in range(20)]


def test_a_training_gets_the_newest_record_of_each_id_up_to_the_cutoff(database: Engine, tmp_path: Path) -> None:
    owner, columns = dataset(database, "ITEMS"), schema("ITEMS", ITEM_ID="string", WHOLE=["null", "int"])
    put_records(database, owner, *[(name, {"whole": n}) for n, name in enumerate("abab")])
    for name in ("one", "two"):
        with database.connect() as conn:
            assert streamed.freeze(conn, owner, columns, 3, tmp_path / name) == 2
    assert pq.read_table(tmp_path / "one").to_pylist() == [
        {"ITEM_ID": "b", "WHOLE": 1, ARRIVAL: 2},
        {"ITEM_ID": "a", "WHOLE": 2, ARRIVAL: 3},
    ]
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_an_update_gets_the_events_that_came_after_those_of_its_model_under_the_users_they_belong_to(
    database: Engine, tmp_path: Path
) -> None:
    owner, columns = dataset(database, "INTERACTIONS"), schema("INTERACTIONS", **PLAIN)
    linking = {"session_id": "s1", "user_id": "u", "item_id": None}
    put_events(database, owner, {"session_id": "s1"}, linking, {"session_id": "s1"}, {"user_id": "v"})
    with database.connect() as conn:
        assert streamed.freeze(conn, owner, columns, 4, tmp_path / "newer", 2) == 2
    found = pq.read_table(tmp_path / "newer").to_pylist()
    # The link is older than the event.
    assert [(row["USER_ID"], row["ITEM_ID"], row[ARRIVAL]) for row in found] == [("u", "i3", 3), ("v", "i4", 4)]


def test_the_file_of_an_empty_dataset_is_like_any_other(database: Engine, tmp_path: Path) -> None:
    owner, columns = dataset(database, "INTERACTIONS"), schema("INTERACTIONS", **PLAIN, EVENT_VALUE="float")
    with database.connect() as conn:
        streamed.freeze(conn, owner, columns, 0, tmp_path / "frozen")
    streamed.write_empty(columns, tmp_path / "empty")
    assert (tmp_path / "frozen").read_bytes() == (tmp_path / "empty").read_bytes()


def test_the_cutoff_waits_for_an_event_that_has_its_number_but_is_not_committed(database: Engine) -> None:
    """Without the lock, event 1 would be in no training: below the cut-off, but not there when it was frozen."""
    with database.connect() as slow:
        slow.execute(insert(records).values(dataset_id="d", record_id="r"))
        found: list[int] = []
        committed: list[bool] = []

        def ask() -> None:
            with database.begin() as conn:
                found.append(streamed.newest_record(conn, "d"))
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
