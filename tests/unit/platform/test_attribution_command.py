"""`openpersonalize attribution`: which sums it finds, what it prints, the page with plots, the CSV."""

from __future__ import annotations

import io
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console
from sqlalchemy import Connection, insert
from typer.testing import CliRunner

from pipelines.datasets.attribution import UNDEFINED
from pipelines.platform.attribution_command import Found, as_csv, collect
from pipelines.platform.attribution_page import render
from pipelines.platform.attribution_views import show
from pipelines.platform.cli import app
from pipelines.platform.finding import NotFound
from pipelines.registry import store
from pipelines.registry.tables import attribution_sums
from pipelines.settings import Settings
from tests.support.attribution import NOW, START, World, make_world, metric


@pytest.fixture
def world(conn: Connection, settings: Settings, tmp_path: Path) -> World:
    return make_world(conn, settings, tmp_path / "work")


def bring(world: World, source: str, events: int, metric_name: str = "n", at: int = 0) -> None:
    """What an import left."""
    job = world.import_job()
    with world.conn.begin():
        found = world.conn.execute(store.resources.select().where(store.resources.c.kind == "MetricAttribution")).one()
        row = {"attribution_id": found.id, "import_job_id": job.id, "metric": metric_name, "source": source}
        row |= {"window_start": START + at, "value": float(events), "events": events}
        world.conn.execute(insert(attribution_sums).values(row))


def look(world: World, since: datetime | None = None) -> Found:
    return collect(world.settings, "shop", since)


def shown(found: Found) -> str:
    console = Console(width=100, file=io.StringIO())
    show(console, found)
    return console.file.getvalue()


def test_streamed_events_and_imports_are_added_up_by_source(world: World) -> None:
    world.attribute(metric("n"), metric("paid", "SUM(Interactions.EVENT_VALUE)", "buy"))
    for user in ("a", "a", "b"):
        world.put(user_key=user, attribution_source="mail")
    world.put(attribution_source="ads", at=900)
    bring(world, "ads", 4, at=900)
    found = look(world)
    mail, ads = sorted(found.rows["n"], key=lambda row: row.value)
    assert (mail.source, mail.value, mail.events, mail.share) == ("mail", 3.0, 3, 0.375)
    assert mail.low is not None and mail.high is not None and mail.low < 3 < mail.high
    assert (ads.source, ads.value, ads.low) == ("ads", 5.0, None)
    assert found.rows["paid"] == []
    assert [(one.source, one.start - START, one.events) for one in found.sums] == [("ads", 900, 5), ("mail", 0, 3)]
    later = look(world, NOW + timedelta(seconds=1))
    assert [(row.source, row.value) for row in later.rows["n"]] == [("ads", 5.0)]


def test_it_is_found_by_group_and_by_its_own_names(world: World) -> None:
    with pytest.raises(NotFound, match="dataset group shop has no metric attribution"):
        look(world)
    arn = world.attribute(metric("n")).resource.arn
    for given in ("shop", arn, world.group.arn, None):
        assert collect(world.settings, given, None).arn == arn
    with pytest.raises(NotFound, match="there is no dataset group or metric attribution 'nobody'"):
        collect(world.settings, "nobody", None)


def test_a_hundred_sources_count_those_that_came_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.datasets.attribution.MOST_SOURCES", 2)
    world.attribute(metric("n"))
    for number, source in enumerate(["early", "late", "late", None, "middle"]):
        moment = NOW + timedelta(seconds={"early": 0, "middle": 1}.get(source or "", 9))
        world.put(attribution_source=source, received_at=moment, at=number)
    found = look(world)
    assert {row.source for row in found.rows["n"]} == {"early", "middle", UNDEFINED}
    assert found.left_out == {"late": 2}
    assert "1 source with 2 events is left out" in shown(found)


def test_the_table_says_what_a_reader_must_know(world: World) -> None:
    world.attribute(
        metric("watched"), metric("paid", "SUM(Interactions.EVENT_VALUE)", "buy"), metric("none", event_type="x")
    )
    arn = world.serve("RID-1")
    for _ in range(3):
        world.put(recommendation_id="RID-1")
    world.put("buy", event_value=1234.5)
    world.put("buy")
    text = shown(look(world))
    assert re.search(rf"│ {re.escape(arn.rpartition(':')[2])} +│ +3 │ 100.0% │ +0 to 17 │ +3 │", text), text
    assert re.search(r"SOURCE_NAME_UNDEFINED +│ 1,234.5 │ 100.0% │ +│ +1 │", text), text
    for words in (
        "shop of dataset group shop", "SUM(Interactions.EVENT_VALUE) of buy, since", "no event of type x has been counted",
        "events from 2023-11-14 22:15 to 2023-11-14 22:30 UTC", "paid: 1 streamed event of the type without a number",
        "95 % interval",
    ):  # fmt: skip
        assert words in text, text


def test_csv_has_every_window_in_aws_form(world: World) -> None:
    world.attribute(metric("n"))
    world.put(at=900)
    world.put()
    lines = as_csv(look(world)).splitlines()
    assert lines[1:] == [f"N,WATCH,1.0,samplecount,{UNDEFINED},{START + at}" for at in (900, 0)]


def test_the_page_has_a_plot_a_metric_and_loads_nothing(world: World) -> None:
    world.attribute(metric("n"), metric("none", event_type="x"))
    for number in range(9):
        world.put(attribution_source=f"<s{number}>", at=900 * number * number, event_value=1.0)
    html = render(look(world))
    assert not re.search(r"(?:src|href)=|url\(|@import|<script", html)
    [svg] = re.findall(r"<svg.*?</svg>", html, re.S)
    tree = ElementTree.fromstring(svg)
    assert len(tree.findall(".//polyline")) == 7, "six sources and the others together"
    assert len(tree.findall(".//circle")) == 9
    assert "&lt;s1&gt;" in html and "<s1>" not in html and "3 others" in html
    assert "n by 15 minutes" in html and "no event of type x has been counted" in html


@pytest.mark.parametrize(
    ("days", "words"),
    [(0.5, "15 minutes"), (3, "hour"), (20, "6 hours"), (90, "day"), (700, "7 days"), (5000, "30 days")],
)
def test_a_point_stands_for_so_long_that_there_are_not_too_many(world: World, days: float, words: str) -> None:
    world.attribute(metric("n"))
    for at in (0, days * 86_400):
        world.put(at=at)
    html = render(look(world))
    assert f"n by {words}<" in html
    [points] = re.findall(r'points="([^"]*)"', html)
    assert len(points.split()) <= 200


def test_the_command_prints_and_writes(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    world.attribute(metric("n"))
    world.put(attribution_source="mail")
    monkeypatch.setattr("pipelines.platform.cli_looking.running", lambda: world.settings)

    def run(*given: str) -> Any:
        return CliRunner().invoke(app, ["attribution", *given])

    assert run("shop", "--csv").output == as_csv(look(world))
    page = tmp_path / "page.html"
    assert "mail" in run("--page", str(page)).output and "polyline" in page.read_text()
    assert run("--since", "1h", "--csv").output.count("\n") == 1
    for given, says in (
        (["--since", "soon"], "is no time"),
        (["nobody"], "there is no dataset group"),
        (["--page", "/no/x"], "No such file"),
    ):
        ended = run(*given)
        assert (ended.exit_code, says in ended.output) == (1, True), ended.output
