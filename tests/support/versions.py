"""A group with imported data and a solution, ready for a version to be made, without API and without Airflow."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Connection

from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.repository import GroupRepository
from pipelines.settings import Settings
from tests.support import shop
from tests.support.registry import add_dataset, add_group, add_solution, add_version


@dataclass(frozen=True)
class World:
    """What a test of versions starts from."""

    settings: Settings
    group: Resource
    solution: Resource

    @property
    def repository(self) -> GroupRepository:
        return GroupRepository(self.settings, self.group.id)


def make_world(conn: Connection, settings: Settings) -> World:
    """A group with an Interactions dataset and a solution; nothing imported yet."""
    with conn.begin():
        group = add_group(conn)
        add_dataset(conn, group)
        return World(settings, group, add_solution(conn, group))


def commit(conn: Connection, world: World, dataset: Resource, folder: Path, job: str = "job1") -> None:
    """Make `folder`, which is moved, the dataset's snapshot."""
    tag = f"data/{dataset.id}/{job}"
    world.repository.commit_snapshot(dataset.id, folder, tag, "Import")
    with conn.begin():
        store.update(conn, dataset.id, internal={"snapshot": {"tag": tag, "rows": 1}})


def import_nothing(conn: Connection, world: World, work: Path) -> None:
    """A snapshot of no rows: enough for stages that look at none."""
    from pipelines.datasets.snapshot import write_empty

    with conn.begin():
        dataset = store.in_group(conn, world.group.id, "Dataset")[0]
    write_empty(work / "snapshot", "INTERACTIONS")
    commit(conn, world, dataset, work / "snapshot")


def import_shop(conn: Connection, world: World, work: Path) -> None:
    """The shop's three datasets, imported as the DAG does."""
    from pipelines.datasets.example import build_snapshot

    for kind, path in shop.write(work / "csv").items():
        with conn.begin():
            there = {one.doc["datasetType"]: one for one in store.in_group(conn, world.group.id, "Dataset")}
            dataset = there.get(kind) or add_dataset(conn, world.group, kind)
            store.update(conn, str(dataset.schema_id), doc={"schema": json.dumps(shop.SCHEMAS[kind])})
        build_snapshot(path, shop.SCHEMAS[kind], kind, work / "snapshot")
        commit(conn, world, dataset, work / "snapshot")


def new_version(conn: Connection, solution: Resource, suffix: str) -> Resource:
    with conn.begin():
        return add_version(conn, solution, suffix, status=store.CREATE_PENDING)


def look(conn: Connection, id: str) -> Resource:
    with conn.begin():
        found = store.get(conn, id=id)
    assert found is not None
    return found


TINY = textwrap.dedent(
    """
    stages:
      prepare:
        cmd: {prepare}
        deps: [data/inputs/interactions, data/inputs/items, data/inputs/users, data/inputs/streamed]
        params: [solution]
        outs: [data/prepared]
      package:
        cmd: mkdir -p data/reports data/model && cp {reports} data/reports/metrics.json && cp -r {artefact} data/artefact
          && echo fitted > data/model/weights && cp {hpo} data/reports/hpo.json
        deps: [data/prepared]
        params: [hyperparameters]
        outs: [data/artefact, data/model, {{data/reports/hpo.json: {{cache: false}}}}]
        metrics:
          - data/reports/metrics.json: {{cache: false}}
    """
)
PREPARE = "mkdir data/prepared && cp data/inputs/interactions/manifest.json data/prepared/"


def tiny_stages(
    monkeypatch: pytest.MonkeyPatch,
    work: Path,
    *,
    prepare: str = PREPARE,
    artefact: Path | None = None,
    best: Mapping[str, object] | None = None,
) -> None:
    """Stages that take no time, where a test is about what happens around them; `best`: what the search found."""
    from tests.support.artefacts import make_artefact

    source = artefact or make_artefact(work / "made-artefact")
    reports = work / "made-metrics.json"
    warnings = [{"code": "loses-to-popularity", "text": "The model LOSES to popularity."}]
    made = {"metrics": {"coverage": 0.5}, "baselines": {"popularity": {}}, "best_epoch": 3, "warnings": warnings}
    reports.write_text(json.dumps(made))
    hpo = work / "made-hpo.json"
    hpo.write_text(json.dumps({"best": best or {}, "trials": []}))
    text = TINY.format(prepare=json.dumps(prepare), reports=reports, artefact=source, hpo=hpo)
    monkeypatch.setattr("pipelines.stages_definition.group_dvc_yaml", lambda: text)


def empty(folder: Path) -> None:
    """As on another machine."""
    shutil.rmtree(folder, ignore_errors=True)
