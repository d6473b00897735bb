"""Events that name an earlier answer get its list, once and for good; trainings count it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, insert, select

from pipelines.datasets import impressions, streamed
from pipelines.datasets.schema import read_schema
from pipelines.recipes.preparing import shown_implicitly
from pipelines.registry.store import Resource
from pipelines.registry.tables import events, served
from tests.support.imports import avro
from tests.support.registry import add, add_dataset, add_group

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Log:
    """A group with a campaign that has served, and the events of its users."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        with conn.begin():
            self.group = add_group(conn)
            self.dataset = add_dataset(conn, self.group)
            self.campaign = add(conn, "Campaign", "front-page", group=self.group)

    def serve(self, recommendation_id: str, *items: str, campaign: Resource | None = None) -> None:
        row = {"served_at": NOW, "recommendation_id": recommendation_id, "solution_version_id": "v"}
        with self.conn.begin():
            self.conn.execute(
                insert(served).values(**row, campaign_id=(campaign or self.campaign).id, items=list(items))
            )

    def take(self, item: str | None, recommendation_id: str | None = None, **given: Any) -> int:
        """The number of an event of `item`, five minutes before NOW unless `given` says otherwise."""
        row = {
            "group_id": self.group.id, "user_key": "u", "user_id": "u", "session_id": "s", "event_type": "click",
            "event_id": f"{item}-{recommendation_id}-{given}", "item_id": item, "sent_at": NOW.timestamp(),
            "recommendation_id": recommendation_id, "received_at": NOW, **given,
        }  # fmt: skip
        with self.conn.begin():
            return int(self.conn.execute(insert(events).values(row).returning(events.c.id)).scalar_one())

    def implicit(self, event: int) -> list[str] | None:
        with self.conn.begin():
            query = select(events.c.implicit_impression).where(events.c.id == event)
            found: list[str] | None = self.conn.execute(query).scalar_one()
        return found

    def counts(self, path: Path, cutoff: int = 1_000, after: int = 0) -> dict[str, int]:
        with self.conn.begin():
            impressions.freeze(self.conn, self.group.id, cutoff, path, after)
        table = impressions.read(path)
        return dict(zip(table["ITEM_ID"].to_pylist(), table["SHOWN"].to_pylist(), strict=True))


@pytest.fixture
def log(conn: Connection) -> Log:
    return Log(conn)


def test_an_event_gets_the_list_that_it_names(log: Log) -> None:
    log.serve("RID-1", "73", "70", "17")
    event, other = log.take("73", "RID-1"), log.take("70")
    assert impressions.resolve(log.conn, NOW) == 1
    assert log.implicit(event) == ["73", "70", "17"] and log.implicit(other) is None


def test_an_event_gets_whose_answer_it_names(log: Log) -> None:
    log.serve("RID-1", "a")
    for named in ("RID-1", "RID-of-nobody", None):
        log.take("a", named)
    impressions.resolve(log.conn, NOW + timedelta(minutes=6))
    with log.conn.begin():
        found = log.conn.execute(select(events.c.served_by).order_by(events.c.id)).scalars().all()
    assert found == [log.campaign.arn, "", None]


def test_an_explicit_impression_wins(log: Log, tmp_path: Path) -> None:
    log.serve("RID-1", "a", "b")
    event = log.take("a", "RID-1", impression=["a", "z"])
    assert impressions.resolve(log.conn, NOW) == 1
    assert log.implicit(event) is None and log.counts(tmp_path / "shown") == {}


def test_a_list_that_is_not_there_yet_is_looked_for_again_and_given_up_after_minutes(log: Log) -> None:
    event = log.take("a", "RID-1")
    assert impressions.resolve(log.conn, NOW + timedelta(minutes=4)) == 0
    log.serve("RID-1", "a", "b")
    assert impressions.resolve(log.conn) == 1 and log.implicit(event) == ["a", "b"]
    lost = log.take("a", "RID-of-nobody")
    assert impressions.resolve(log.conn) == 0 and log.implicit(lost) is None
    assert impressions.resolve(log.conn, NOW + timedelta(minutes=6)) == 1 and log.implicit(lost) == []
    assert impressions.resolve(log.conn, NOW + timedelta(minutes=6)) == 0


def test_a_list_of_another_groups_campaign_is_none(log: Log) -> None:
    with log.conn.begin():
        other = add_group(log.conn, "other")
        stranger = add(log.conn, "Campaign", "theirs", group=other)
    log.serve("RID-1", "a", "b", campaign=stranger)
    event = log.take("a", "RID-1")
    impressions.resolve(log.conn)
    assert log.implicit(event) is None


def test_many_events_are_resolved_in_batches(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(impressions, "BATCH_EVENTS", 2)
    log.serve("RID-1", "a", "b")
    for item in "abcde":
        log.take(item, "RID-1")
    assert impressions.resolve(log.conn, NOW) == 5


def test_counted_is_what_was_shown_and_not_taken_up_to_the_cutoff(log: Log, tmp_path: Path) -> None:
    log.serve("RID-1", "a", "b", "c")
    log.take("a", "RID-1")
    log.take(None, "RID-1", event_id="no item")
    last = log.take("b", "RID-1")
    log.take("c", "RID-1")
    impressions.resolve(log.conn, NOW)
    assert log.counts(tmp_path / "shown", last) == {"a": 1, "b": 1, "c": 2}
    assert log.counts(tmp_path / "newer", after=last) == {"a": 1, "b": 1}


def test_counts_of_items_that_are_not_trained_are_left_out(log: Log, tmp_path: Path) -> None:
    log.serve("RID-1", "a", "b", "gone")
    log.take("a", "RID-1")
    impressions.resolve(log.conn, NOW)
    log.counts(tmp_path / "shown")
    assert np.array_equal(shown_implicitly(impressions.read(tmp_path / "shown"), ["x", "b", "a"]), [0, 1, 0])


def test_an_input_that_was_frozen_before_there_were_counts_has_none(tmp_path: Path) -> None:
    assert np.array_equal(shown_implicitly(impressions.read(tmp_path / "absent"), ["a"]), [0])


def test_what_is_exported_is_what_was_sent(log: Log) -> None:
    schema = read_schema(
        avro("Interactions", USER_ID="string", ITEM_ID="string", TIMESTAMP="long", IMPRESSION=["null", "string"]),
        "INTERACTIONS",
    )
    log.serve("RID-1", "a", "b")
    log.take("a", "RID-1")
    log.take("c", "RID-1", impression=["c", "d"])
    impressions.resolve(log.conn, NOW)
    with log.conn.begin():
        tables = list(streamed.tables(log.conn, log.dataset, schema, 1_000))
    assert [value for table in tables for value in table["IMPRESSION"].to_pylist()] == [None, "c|d"]
