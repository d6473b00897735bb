"""A group in which one user is everywhere: imports, events, versions, logs; and the job that is to delete them."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import Connection, insert

from pipelines.datasets.example import build_snapshot
from pipelines.platform.postgres import EmbeddedPostgres
from pipelines.registry import experiments, store
from pipelines.registry.database import engine
from pipelines.registry.store import Resource
from pipelines.registry.tables import events, exposures, records, served
from pipelines.repository import GroupRepository
from pipelines.settings import Settings
from pipelines.versions import claim, publish, reproduce
from pipelines.versions.updating import update
from tests.conftest import execute, platform_settings
from tests.support import shop
from tests.support.artefacts import make_artefact
from tests.support.registry import add, add_campaign, add_dataset, add_group, add_solution, add_version
from tests.support.updates import tiny_update
from tests.support.versions import tiny_stages

OTHERS = "4f1c9a0b7d3e58264f1c9a0b7d3e582"
"""What the ids of all users in the versions begin with; a digit follows."""
PLANTED = OTHERS + "6"
STAYS = OTHERS + "1"


@dataclass(frozen=True)
class Place:
    """Where a test of deletions happens."""

    settings: Settings
    conn: Connection
    group: Resource

    @property
    def repository(self) -> GroupRepository:
        return GroupRepository(self.settings, self.group.id)

    def look(self, id: str) -> Resource:
        with self.conn.begin():
            found = store.get(self.conn, id=id)
        assert found is not None
        return found

    def job(self, *users: str) -> Resource:
        """A data deletion job of these users."""
        number = uuid.uuid4().hex[:8]
        path = self.settings.home.parent / "lists" / f"{number}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(["user_id", *users]) + "\n")
        doc = {"dataSource": {"dataLocation": path.as_uri()}, "datasetGroupArn": self.group.arn}
        with self.conn.begin():
            return add(self.conn, "DataDeletionJob", number, status=store.PENDING, group=self.group, doc=doc)

    def snapshot(self, dataset: Resource, work: Path, rows: list[str]) -> Resource:
        """An import job that made these rows, behind a header, the dataset's snapshot."""
        kind = dataset.doc["datasetType"]
        schema = shop.SCHEMAS[kind]
        work.mkdir(parents=True, exist_ok=True)
        (work / "in.csv").write_text("\n".join([",".join(f["name"] for f in schema["fields"]), *rows]) + "\n")
        build_snapshot(work / "in.csv", schema, kind, work / "snapshot")
        with self.conn.begin():
            job = add(self.conn, "DatasetImportJob", uuid.uuid4().hex[:8], group=self.group, parent=dataset, doc={})
        tag = f"data/{dataset.id}/{job.id}"
        self.repository.commit_snapshot(dataset.id, work / "snapshot", tag, "Import")
        with self.conn.begin():
            store.update(self.conn, dataset.id, internal={"snapshot": {"tag": tag, "rows": len(rows)}})
        return job

    def event(self, number: int, user: str | None, session: str, item: str = "i1") -> None:
        values = {
            "group_id": self.group.id,
            "user_key": user or session,
            "user_id": user,
            "session_id": session,
            "event_id": f"e{number}",
            "event_type": "watch",
            "item_id": item,
            "sent_at": 1_700_000_000.0 + number,
        }
        with self.conn.begin():
            self.conn.execute(insert(events).values(values))

    def version(self, solution: Resource, suffix: str) -> Resource:
        """An ACTIVE version of what there is now."""
        with self.conn.begin():
            version = add_version(self.conn, solution, suffix, status=store.CREATE_PENDING)
        for step in (claim, reproduce, publish):
            step(self.settings, version.id)
        return self.look(version.id)


def make_place(postgres: EmbeddedPostgres, template: str, root: Path) -> Iterator[Place]:
    database = f"deletions_{uuid.uuid4().hex[:12]}"
    execute(postgres, f"CREATE DATABASE {database} TEMPLATE {template}")
    settings = platform_settings(root / "home", postgres.url(database))
    ours = engine(settings, pool_size=1)
    with ours.connect() as conn:
        with conn.begin():
            group = add_group(conn)
        yield Place(settings, conn, group)
    ours.dispose()
    execute(postgres, f"DROP DATABASE {database} WITH (FORCE)")


@pytest.fixture
def place(postgres: EmbeddedPostgres, migrated_template: str, tmp_path: Path) -> Iterator[Place]:
    """An empty group."""
    yield from make_place(postgres, migrated_template, tmp_path)


@dataclass(frozen=True)
class Everywhere:
    """The planted user, and where."""

    place: Place
    interactions: Resource
    users: Resource
    first: Resource
    """The import job of an older snapshot of the interactions."""
    idle: Resource
    """A version that no campaign serves."""
    deployed: Resource
    campaign: Resource
    failed: Resource
    """An import job that says whom it failed for."""


@pytest.fixture(scope="module")
def everywhere(
    postgres: EmbeddedPostgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Everywhere]:
    """One group for a whole module; tests there follow one another."""
    root = tmp_path_factory.mktemp("deletions")
    for place in make_place(postgres, migrated_template, root):
        with pytest.MonkeyPatch.context() as monkeypatch:
            made = make_artefact(root / "made-artefact", users=8, items=40, events=4, user_prefix=OTHERS)
            tiny_stages(monkeypatch, root, artefact=made)
            tiny_update(monkeypatch, root, made)
            yield plant(place, root)


def plant(place: Place, root: Path) -> Everywhere:
    conn, group = place.conn, place.group
    with conn.begin():
        interactions, users = (add_dataset(conn, group, kind) for kind in ("INTERACTIONS", "USERS"))
        idle, served_one = (add_solution(conn, group, name) for name in ("idle", "served"))
    bulk = [f"{user},i{n},watch,{1_600_000_000 + n}" for user in (PLANTED, STAYS) for n in range(10)]
    first = place.snapshot(interactions, root / "first", bulk[:15])
    place.snapshot(interactions, root / "second", bulk)
    place.snapshot(users, root / "users", [f"{PLANTED},F", f"{STAYS},M"])
    place.event(1, PLANTED, "s1")
    place.event(2, None, "s1")
    place.event(3, STAYS, "s2")
    _rows(conn, users)
    versions = [place.version(solution, "00000001") for solution in (idle, served_one)]
    with conn.begin():
        campaign = add_campaign(conn, versions[1], "home", store.ACTIVE)
        reason = f"in.csv line 3, USER_ID '{PLANTED}' has no item"
        failed = add(conn, "DatasetImportJob", "failed", status=store.CREATE_FAILED, group=group, parent=interactions)
        conn.execute(insert(served).values(_answer(campaign, PLANTED)))
        experiment = experiments.begin(conn, campaign, versions[1], versions[0], 50)
        shown = {"experiment_id": experiment.id, "arm": "A", "first_at": experiment.created_at, "answers": 1}
        conn.execute(insert(exposures), [{**shown, "user_key": key} for key in (PLANTED, "s1", STAYS)])
        store.update(conn, failed.id, failure_reason=reason)
    _files(place.settings, failed, reason)
    # What is served of a version is its last update.
    update(place.settings, versions[1].id, datetime(2026, 3, 1, tzinfo=UTC))
    return Everywhere(place, interactions, users, first, versions[0], versions[1], campaign, failed)


def _rows(conn: Connection, users: Resource) -> None:
    with conn.begin():
        rows = [{"dataset_id": users.id, "record_id": user, "properties": {}} for user in (PLANTED, STAYS)]
        conn.execute(insert(records).values(rows))


def _answer(campaign: Resource, user: str) -> dict[str, Any]:
    return {
        "served_at": datetime(2026, 1, 1, tzinfo=UTC),
        "recommendation_id": "r1",
        "campaign_id": campaign.id,
        "solution_version_id": "v",
        "user_id": user,
        "items": ["i1"],
    }


def _files(settings: Settings, failed: Resource, reason: str) -> None:
    folder, logs = settings.imports_dir / failed.id, settings.logs_dir / "airflow"
    folder.mkdir(parents=True)
    logs.mkdir(parents=True)
    (folder / "report.html").write_text(f"<td>{PLANTED}</td>")
    rejects = {"line": [3, 4], "value": [PLANTED, None], "reason": [reason, "other"]}
    pq.write_table(pa.table(rejects), folder / "rejects.parquet")
    (settings.logs_dir / "control.log").write_text(f"a line\n{reason}\na last line\n")
    (logs / "task.log").write_text(json.dumps({"event": f"first\n{PLANTED}"}) + "\n")
    (logs / "old.log.gz").write_bytes(gzip.compress(reason.encode()))
