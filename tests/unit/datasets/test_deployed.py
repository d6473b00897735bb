"""Imports and events against what a deployed version was trained on: in the report, at the solution, never in the way."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from pipelines.datasets import deployed, deployed_measuring, importing
from pipelines.datasets.example import build_snapshot
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.registry.tables import events
from pipelines.settings import Settings
from tests.support.group import INTERACTIONS
from tests.support.registry import add, add_campaign, add_version
from tests.support.versions import World, commit, look, make_world

DAYS = 40
NOW = datetime.now(UTC)
FIRST = NOW - timedelta(days=DAYS)
SCHEMA = {
    "type": "record",
    "name": "Interactions",
    "namespace": "com.amazonaws.personalize.schema",
    "fields": [*INTERACTIONS, {"name": "EVENT_TYPE", "type": "string"}],
    "version": "1.0",
}


def csv(path: Path, first: datetime, days: int, item: str = "i{}", per_day: int = 200) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    start, step = int(first.timestamp()), 86_400 // per_day
    rows = [f"u{n % 37},{item.format(n * n % 61)},{start + n * step},watch" for n in range(days * per_day)]
    path.write_text("\n".join(["USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE", *rows]) + "\n")
    return path


@pytest.fixture
def world(conn: Connection, settings: Settings, tmp_path: Path) -> World:
    """A version that was trained a week ago on a month of imported data, and a campaign that serves it."""
    made = make_world(conn, settings)
    with conn.begin():
        [dataset] = store.in_group(conn, made.group.id, "Dataset")
    build_snapshot(csv(tmp_path / "old.csv", FIRST, DAYS - 7), SCHEMA, "INTERACTIONS", tmp_path / "snapshot")
    commit(conn, made, dataset, tmp_path / "snapshot")
    with conn.begin():
        taken = store.get(conn, id=dataset.id).internal["snapshot"]  # type: ignore[union-attr]
        inputs = {"snapshots": {"INTERACTIONS": {"dataset_id": dataset.id, **taken}}, "event_cutoff": 0}
        add_campaign(conn, add_version(conn, made.solution, **inputs))
    return made


def import_(conn: Connection, world: World, path: Path) -> Resource:
    """All three tasks of an INCREMENTAL import, as the DAG runs them."""
    with conn.begin():
        [dataset] = store.in_group(conn, world.group.id, "Dataset")
        job = add(
            conn,
            "DatasetImportJob",
            path.stem,
            status=store.CREATE_PENDING,
            group=world.group,
            parent=dataset,
            doc={"dataSource": {"dataLocation": path.as_uri()}, "importMode": "INCREMENTAL", "datasetArn": dataset.arn},
        )
    for step in (importing.load, importing.check, importing.commit):
        step(world.settings, job.id)
    return look(conn, job.id)


def send(conn: Connection, world: World, items: list[str]) -> None:
    row = {"group_id": world.group.id, "user_key": "u1", "user_id": "u1", "session_id": "s", "event_type": "watch"}
    at = NOW.timestamp() - 3600
    rows = [{**row, "event_id": f"{items[0]}-{n}", "item_id": item, "sent_at": at + n} for n, item in enumerate(items)]
    with conn.begin():
        conn.execute(insert(events), rows)


def test_what_comes_is_held_against_the_training_of_what_is_deployed(
    conn: Connection, world: World, tmp_path: Path
) -> None:
    with conn.begin():
        [version] = store.children(conn, world.solution.id, "SolutionVersion")

    def measured() -> tuple[str | None, Mapping[str, Any] | None]:
        level = deployed_measuring.measure(world.settings, version.id, NOW)
        return level, deployed.drift_of(look(conn, world.solution.id), version.id)

    # Events as there always were.
    send(conn, world, [f"i{n * n % 61}" for n in range(300)])
    level, found = measured()
    assert level == deployed.NONE and found is not None
    assert (found["hint"], found["broken"], found["of"]) == (None, [], "what came since the training")

    # An import that moves far is taken in, and hints at a training.
    job = import_(conn, world, csv(tmp_path / "autumn.csv", NOW - timedelta(days=7), 7, item="autumn-{}"))
    assert job.status == store.ACTIVE
    found = deployed.drift_of(look(conn, world.solution.id), version.id)
    assert found is not None and (found["level"], found["of"]) == (deployed.CRITICAL, "import autumn")
    assert found["numbers"]["new_item_share"] == 1 and found["numbers"]["volume"] == pytest.approx(1, abs=0.05)
    assert "Train a new version" in found["hint"] and "100 %" in found["hint"]
    page = (world.settings.imports_dir / job.id / "report.html").read_text()
    assert "Beside what is deployed" in page and version.arn in page and "autumn-" in page
    # What was streamed and what was imported since the training count together.
    level, found = measured()
    assert level == deployed.CRITICAL and found is not None
    assert found["numbers"]["rows"] == 7 * 200 + 300
    assert 0.8 < found["numbers"]["new_item_share"] < 0.9

    # Another version is deployed: what was found of this one is not said of it.
    assert deployed.drift_of(look(conn, world.solution.id), "another version") is None
    # A data deletion job has taken the inputs: nothing is said, and nothing fails.
    with conn.begin():
        store.update(conn, version.id, internal={"snapshots": {"INTERACTIONS": {"tag": "data/gone/gone"}}})
    assert measured() == (None, found)
