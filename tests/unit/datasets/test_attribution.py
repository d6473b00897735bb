"""What metric attributions count, of streamed events and of imports, on real PostgreSQL."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import Connection, delete, insert, select

from pipelines.datasets import attribution, attribution_imported, impressions
from pipelines.datasets.attribution import Sum
from pipelines.platform.removal import remove_deleted
from pipelines.registry import store
from pipelines.registry.tables import attribution_sums, events
from pipelines.settings import Settings
from tests.support.attribution import NOW, START, World, by_key, forget_answers, make_world, metric

UNDEFINED = attribution.UNDEFINED
EVERY = (
    metric("n"),
    metric("paid", "SUM(Interactions.EVENT_VALUE)", "buy"),
    metric("minutes", "SUM(Interactions.MINUTES_SEEN)"),
    metric("revenue", "sum( items.PRICE )", "Buy"),
    metric("length", "SUM(Items.LENGTH)"),
    metric("when", "SUM(Interactions.TIMESTAMP)"),
)


@pytest.fixture
def world(conn: Connection, settings: Settings, tmp_path: Path) -> World:
    return make_world(conn, settings, tmp_path / "work")


def test_events_are_counted_in_windows_of_15_minutes_by_type_in_any_case(world: World) -> None:
    world.put()
    world.attribute(metric("seen"), metric("bought", event_type="BUY"))
    for at in (0, 899.9, 900, 2700):
        world.put("WATCH", at=at)
    world.put("buy", item=None, user_id=None)
    assert world.sums() == {
        ("seen", UNDEFINED, 0): (2.0, 2), ("seen", UNDEFINED, 900): (1.0, 1), ("seen", UNDEFINED, 2700): (1.0, 1),
        ("bought", UNDEFINED, 0): (1.0, 1),
    }  # fmt: skip
    assert set(world.sums(START + 900)) == {("seen", UNDEFINED, 900), ("seen", UNDEFINED, 2700)}


def test_a_metric_counts_what_comes_after_it_was_added(world: World) -> None:
    world.attribute(metric("first"))
    world.put()
    world.attribute(metric("second"))
    world.put()
    assert world.sums() == {("first", UNDEFINED, 0): (2.0, 2), ("second", UNDEFINED, 0): (1.0, 1)}


def test_the_source_is_what_the_event_says_then_whose_answer_it_names_then_undefined(world: World) -> None:
    world.attribute(metric("n"))
    arn = world.serve("RID-1")
    world.put(recommendation_id="RID-1", attribution_source="mail")
    world.put(recommendation_id="RID-1")
    world.put(recommendation_id="RID-of-nobody")
    world.put()
    expected = {("n", "mail", 0): (1.0, 1), ("n", arn, 0): (1.0, 1), ("n", UNDEFINED, 0): (2.0, 2)}
    assert world.sums() == expected, "at once, before the reconciler has looked anything up"
    impressions.resolve(world.conn, NOW)
    forget_answers(world.conn)
    assert world.sums() == expected


def test_an_answer_of_another_group_is_no_source(world: World, conn: Connection, tmp_path: Path) -> None:
    other = make_world(conn, world.settings, tmp_path / "other", "other")
    other.serve("RID-1")
    world.attribute(metric("n"))
    world.put(recommendation_id="RID-1")
    assert world.sums() == {("n", UNDEFINED, 0): (1.0, 1)}


def test_events_that_name_an_answer_still_know_its_campaign_when_that_is_deleted(world: World) -> None:
    world.attribute(metric("n"))
    arn = world.serve("RID-1")
    world.put(recommendation_id="RID-1", impression=["i1", "i2"])
    with world.conn.begin():
        store.update(world.conn, world.campaigns["front"].id, status=store.DELETE_PENDING)
    assert remove_deleted(world.conn, world.settings, NOW) == 1
    assert world.sums() == {("n", arn, 0): (1.0, 1)}
    with world.conn.begin():
        assert world.conn.execute(select(events.c.implicit_impression)).scalar_one() is None


def test_columns_are_summed_as_decimals_and_what_has_no_number_adds_nothing(world: World) -> None:
    world.attribute(*EVERY)
    for value in (0.1, 0.2, None):
        world.put("buy", event_value=value)
    for seen in (3, "4", None, "-1.5e1"):
        world.put(properties={"minutesSeen": seen})
    found = world.streamed()
    assert by_key([one for one in found.sums if one.metric in ("paid", "minutes")]) == {
        ("paid", UNDEFINED, 0): (0.3, 2), ("minutes", UNDEFINED, 0): (-8.0, 3),
    }  # fmt: skip
    assert {name: found.without_value[name] for name in ("n", "paid", "minutes")} == {"n": 0, "paid": 1, "minutes": 1}


def test_an_items_value_is_that_of_its_newest_record(world: World) -> None:
    world.put_item("i1", price=9.99, length=100)
    world.attribute(*EVERY)
    world.put_item("i2", price=1)
    for item in ("i1", "i1", "i2", "unknown", None):
        world.put("buy", item)
    revenue = ("revenue", UNDEFINED, 0)
    assert world.sums()[revenue] == (20.98, 3)
    world.put_item("i1", price="0.5")
    assert world.sums()[revenue] == (2.0, 3)
    world.put_item("i1")
    assert world.sums()[revenue] == (1.0, 1)
    assert world.streamed().without_value["revenue"] == 4


def test_what_is_deleted_counts_no_more(world: World) -> None:
    world.attribute(metric("n"))
    world.put(user_key="gone")
    world.put()
    with world.conn.begin():
        world.conn.execute(delete(events).where(events.c.user_key == "gone"))
    assert world.sums() == {("n", UNDEFINED, 0): (1.0, 1)}


def test_how_events_are_spread_over_users_is_known_of_counts(world: World) -> None:
    world.attribute(metric("n"), metric("paid", "SUM(Interactions.EVENT_VALUE)"))
    for user in ("a", "a", "a", "b"):
        world.put(user_key=user, event_value=1.0)
    assert world.streamed().users == {("n", UNDEFINED): (4, 10, 3)}


# Imports -----------------------------------------------------------------------------------------------------------------


def test_an_incremental_import_leaves_its_sums_and_a_full_one_none(world: World) -> None:
    arn = world.serve("RID-1")
    world.put_item("i1", price=9.99)
    world.attribute(*EVERY[:4], metric("sum", "SUM(Interactions.MINUTES_SEEN)", "buy"))
    lines = (
        f"u1,i1,{START},buy,9.99,1,RID-1,", f"u2,i1,{START + 899},BUY,9.99,,RID-1,mail", f"u3,i2,{START + 900},buy,0.02,,RID-9, ",
        f"u3,i2,{START + 900},buy,0.02,,RID-9, ", f"u3,i2,{START},watch,,7,,", f"u3,i2,{START},other,,7,,",
    )  # fmt: skip
    for mode in ("FULL", "INCREMENTAL"):
        job = world.import_job(mode)
        counted = attribution_imported.count(world.settings, job, world.load(job, *lines), world.work / job.id)
        with world.conn.begin():
            attribution_imported.keep(world.conn, job, counted)
        assert by_key(list(counted.sums)) == {
            ("n", UNDEFINED, 0): (1.0, 1), ("minutes", UNDEFINED, 0): (7.0, 1),
            ("paid", arn, 0): (9.99, 1), ("paid", "mail", 0): (9.99, 1), ("paid", UNDEFINED, 900): (0.02, 1),
            ("revenue", arn, 0): (9.99, 1), ("revenue", "mail", 0): (9.99, 1),
            ("sum", arn, 0): (1.0, 1),
        }  # fmt: skip
        with world.conn.begin():
            kept = world.conn.execute(select(attribution_sums)).all()
        assert [row.import_job_id for row in kept] == ([job.id] * 8 if mode == "INCREMENTAL" else [])
    assert world.sums() == {}


def test_an_import_that_was_asked_for_before_a_metric_does_not_count_for_it(world: World) -> None:
    world.attribute(metric("before"))
    job = world.import_job()
    world.attribute(metric("after"))
    counted = attribution_imported.count(
        world.settings, job, world.load(job, f"u,i,{START},watch,,,,"), world.work / "w"
    )
    assert by_key(list(counted.sums)) == {("before", UNDEFINED, 0): (1.0, 1)}


def test_sums_of_a_metric_that_was_taken_off_meanwhile_are_not_kept(world: World) -> None:
    found = world.attribute(metric("stays"), metric("goes"), metric("is another"))
    job = world.import_job()
    counted = attribution_imported.count(
        world.settings, job, world.load(job, f"u,i,{START},watch,,,,"), world.work / "w"
    )
    with world.conn.begin():
        begun = attribution.beginning(world.conn, world.group.id)
        left = {"stays": found.resource.internal["metrics"]["stays"], "is another": {**metric("is another"), **begun}}
        store.update(world.conn, found.resource.id, internal={"metrics": left})
    with world.conn.begin():
        attribution_imported.keep(world.conn, job, counted)
        assert world.conn.execute(select(attribution_sums.c.metric)).scalars().all() == ["stays"]


def test_sums_go_with_the_attribution_and_with_the_import(world: World) -> None:
    found = world.attribute(metric("n"))
    row = {
        "attribution_id": found.resource.id,
        "metric": "n",
        "source": "s",
        "window_start": 0,
        "value": 1,
        "events": 1,
    }
    with world.conn.begin():
        for _ in range(2):
            job = store.insert(
                world.conn, kind="DatasetImportJob", arn=f"arn:{store.new_id()}", name="j", status=store.ACTIVE, doc={}
            )
            world.conn.execute(insert(attribution_sums).values(**row, import_job_id=job.id))
    with world.conn.begin():
        store.delete(world.conn, job.id)
    with world.conn.begin():
        assert len(world.conn.execute(select(attribution_sums)).all()) == 1
        store.delete(world.conn, found.resource.id)
        assert world.conn.execute(select(attribution_sums)).all() == []


# The file ----------------------------------------------------------------------------------------------------------------


EXAMPLE = """\
METRIC_NAME,EVENT_TYPE,VALUE,MATH_FUNCTION,EVENT_ATTRIBUTION_SOURCE,TIMESTAMP
COUNTWATCHES,WATCH,12.0,samplecount,arn:aws:personalize:us-east-1:123456789012:recommender/r1,1666925124
COUNTWATCHES,WATCH,112.0,samplecount,"a, ""b"" c",1666924224
PAID,BUY,0.3,sum,SOURCE_NAME_UNDEFINED,1666924224
"""


def test_the_report_has_aws_form(world: World) -> None:
    found = world.attribute(metric("countWatches"), metric("paid", "SUM(Interactions.EVENT_VALUE)", "buy"))
    sums = [
        Sum("paid", UNDEFINED, 1666924224, 0.1 + 0.2, 2),
        Sum("countWatches", 'a, "b" c', 1666924224, 112, 112),
        Sum("countWatches", "arn:aws:personalize:us-east-1:123456789012:recommender/r1", 1666925124, 12, 12),
    ]
    assert attribution_imported.report(found.metrics, sums) == EXAMPLE


def test_a_retry_finds_nothing_in_its_way_that_a_killed_attempt_left(world: World) -> None:
    world.put_item("i", price=2)
    world.attribute(metric("paid", "SUM(Items.PRICE)"))
    job, work = world.import_job(), world.work / "killed"
    (work / "attribution").mkdir(parents=True)
    (work / "attribution" / "items").touch()
    counted = attribution_imported.count(world.settings, job, world.load(job, f"u,i,{START},watch,,,,"), work)
    assert by_key(list(counted.sums)) == {("paid", UNDEFINED, 0): (2.0, 1)}


def test_a_report_is_written_where_the_attribution_says(world: World) -> None:
    folder = world.settings.home / "data" / "reports"
    world.attribute(metric("n"), destination=folder.as_uri())
    for mode in ("FULL", "INCREMENTAL"):
        job = world.import_job(mode, publishAttributionMetricsToS3=True)
        snapshot = world.load(job, f"u,i,{START},watch,,,,mail")
        for _ in range(2):
            attribution_imported.count(world.settings, job, snapshot, world.work / job.id)
        name = f"AggregatedAttributionMetrics - {mode} - {round(job.created_at.timestamp() * 1000)}.csv"
        assert (folder / name).read_text().splitlines()[1:] == [f"N,WATCH,1.0,samplecount,mail,{START}"]
    assert len(list(folder.iterdir())) == 2


def test_a_report_tells_a_hundred_sources_apart(world: World, caplog: pytest.LogCaptureFixture) -> None:
    sums = [Sum("n", f"s{n:03}", 0, 1, 200 - n) for n in range(150)] + [Sum("n", UNDEFINED, 0, 1, 1)]
    left = attribution_imported._of_most_sources(sums)
    assert [one.source for one in left] == [*(f"s{n:03}" for n in range(100)), UNDEFINED]
    assert "50 of 150 event attribution sources are left out" in caplog.text


# Against a slow and obvious evaluator ------------------------------------------------------------------------------------


class RandomShop:
    """Random events and records, and beside them the same in plain Python."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.chance = world, random.Random(seed)
        self.events: list[dict[str, Any]] = []
        self.prices: dict[str, float | None] = {}
        self.arns = {f"RID-{seed}-{n}": world.serve(f"RID-{seed}-{n}", f"c{n % 2}-{seed}") for n in range(4)}

    def records(self) -> None:
        for item in self.chance.choices(["i0", "i1", "i2", "i3"], k=3):
            self.prices[item] = self.chance.choice([None, 9.99, 0.1, 100.0])
            self.world.put_item(item, **({} if self.prices[item] is None else {"price": self.prices[item]}))

    def some_events(self, count: int) -> None:
        pick = self.chance.choice
        for _ in range(count):
            answer = pick([None, "RID-of-nobody", *self.arns])
            own = pick([None, None, "mail", "ads"])
            one = {
                "event_type": pick(["watch", "WATCH", "buy", "Buy", "like"]), "item": pick([None, "i0", "i1", "i2", "i9"]),
                "at": pick([0, 1.5, 899.999, 900, 1800, 5000.25]), "event_value": pick([None, 0.1, 2.5, 1e6]),
                "minutes": pick([None, 1, 7]), "source": own or self.arns.get(answer or "") or UNDEFINED,
            }  # fmt: skip
            self.events.append(one)
            self.world.put(
                one["event_type"], one["item"], one["at"], event_value=one["event_value"], recommendation_id=answer,
                attribution_source=own, properties=None if one["minutes"] is None else {"minutesSeen": one["minutes"]},
            )  # fmt: skip

    def expected(self, metrics: dict[str, tuple[dict[str, str], int]]) -> dict[tuple[str, str, int], tuple[float, int]]:
        """By pandas; a metric counts events from its place in the list on."""
        found = {}
        for name, (given, first) in metrics.items():
            frame = pd.DataFrame(self.events[first:], columns=[*self.events[0]])
            frame = frame[frame["event_type"].str.lower() == given["eventType"].lower()]
            columns = {"EVENT_VALUE": "event_value", "MINUTES_SEEN": "minutes"}
            column = given["expression"].strip(")").rpartition(".")[2]
            if "tems" in given["expression"]:
                frame["value"] = frame["item"].map(self.prices).astype(float)
            else:
                frame["value"] = frame[columns[column]].astype(float) if column in columns else 1.0
            frame = frame[frame["value"].notna()]
            frame["start"] = (frame["at"] // 900 * 900).astype(int)
            for (source, start), rows in frame.groupby(["source", "start"]):
                found[name, source, start] = (attribution.rounded(math.fsum(rows["value"])), len(rows))
        return found


@pytest.mark.parametrize("seed", range(6))
def test_random_events_add_up_as_pandas_says(world: World, seed: int) -> None:
    shop = RandomShop(world, seed)
    shop.some_events(5)
    metrics: dict[str, tuple[dict[str, str], int]] = {}
    given = [
        metric("n"), metric("paid", "SUM(Interactions.EVENT_VALUE)", "buy"), metric("price", "SUM(Items.PRICE)", "BUY"),
        metric("minutes", "SUM(Interactions.MINUTES_SEEN)", "Watch"), metric("likes", event_type="like"),
    ]  # fmt: skip
    while given:
        for one in (given.pop() for _ in range(min(len(given), shop.chance.choice([1, 2, 3])))):
            metrics[one["metricName"]] = one, len(shop.events)
            world.attribute(one)
        shop.records()
        shop.some_events(25)
        if shop.chance.random() < 0.5:
            impressions.resolve(world.conn, NOW)
    assert world.sums() == shop.expected(metrics)
