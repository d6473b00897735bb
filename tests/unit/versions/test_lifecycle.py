"""claim, reproduce, publish, deploy and fail, on real PostgreSQL, git, DVC and BentoML; the stages are tiny."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sqlalchemy import Connection, insert, select

from pipelines.datasets.schema import ARRIVAL
from pipelines.registry import store, wishes
from pipelines.registry.tables import events, outbox, records
from pipelines.serving.artefact import Artefact
from pipelines.serving.local import model_directory
from pipelines.settings import Settings
from pipelines.versions import VersionFailed, VersionGone, claim, deploy, fail, publish, reproduce
from tests.support.registry import add_campaign, add_dataset, add_group, add_solution
from tests.support.versions import World, empty, look, new_version, tiny_stages


def add_event(conn: Connection, group_id: str, number: int) -> int:
    values = {
        "group_id": group_id,
        "user_key": "u1",
        "user_id": "u1",
        "session_id": "s",
        "event_id": f"e{number}",
        "event_type": "watch",
        "item_id": "i1",
        "sent_at": 1_700_000_000.0 + number,
    }
    with conn.begin():
        return int(conn.execute(insert(events).values(values).returning(events.c.id)).scalar_one())


def test_a_version_from_claim_to_a_campaign_that_follows(
    conn: Connection,
    imported: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings, repository = imported.settings, imported.repository
    tiny_stages(monkeypatch, tmp_path)
    old = new_version(conn, imported.solution, "00000001")
    with conn.begin():
        follower = add_campaign(conn, old, "follower", store.ACTIVE, syncWithLatestSolutionVersion=True)
        other = add_campaign(conn, old, "other", store.ACTIVE)
    version = new_version(conn, imported.solution, "00000002")
    last = add_event(conn, imported.group.id, 1)

    claim(settings, version.id)
    claimed = look(conn, version.id)
    assert claimed.status == store.CREATE_IN_PROGRESS
    assert claimed.internal["event_cutoff"] == last
    assert sorted(claimed.internal["snapshots"]) == ["INTERACTIONS"]
    # What arrives later is not part of it, also not when the step is repeated.
    add_event(conn, imported.group.id, 2)
    claim(settings, version.id)
    assert look(conn, version.id).internal["event_cutoff"] == last

    reproduce(settings, version.id)
    tag = f"sv/{imported.solution.id}/{version.id}"
    assert look(conn, version.id).internal["tag"] == tag
    params = repository.show(tag, "params.yaml").decode()
    assert "recipe: aws-user-personalization" in params and "hidden_dimension:" in params and "digest:" in params
    repository.materialise(tag, "data/inputs/streamed", tmp_path / "streamed")
    assert pq.read_table(tmp_path / "streamed" / "interactions.parquet").num_rows == 1
    assert list(repository.layout.job(version.id).parent.iterdir()) == []
    assert look(conn, version.id).status == store.CREATE_IN_PROGRESS

    publish(settings, version.id)
    active = look(conn, version.id)
    assert active.status == store.ACTIVE
    assert active.doc["trainingHours"] > 0
    assert active.internal["metrics"] == {"coverage": 0.5}
    assert active.internal["report"]["best_epoch"] == 3
    # What is wrong with it is said where people look.
    assert f"{version.arn}: The model LOSES to popularity." in [record.getMessage() for record in caplog.records]
    assert active.internal["bento"] == f"solution-{imported.solution.id}:{version.id}"
    model = model_directory(settings, imported.solution.id, version.id)
    assert "warning: loses-to-popularity" in (model / "model.yaml").read_text()
    Artefact.open(model)

    # Killed after it was done and before Airflow knew: the next attempt lets the run go on.
    publish(settings, version.id)
    deploy(settings, version.id)
    moved, stayed = look(conn, follower.id), look(conn, other.id)
    assert moved.internal["deployment"]["solution_version_id"] == version.id
    assert moved.internal["deployment"]["id"] != follower.internal["deployment"]["id"]
    assert moved.internal["deployment"]["config"] == {"syncWithLatestSolutionVersion": True}
    assert moved.doc["latestCampaignUpdate"]["status"] == store.CREATE_PENDING
    assert moved.doc["solutionVersionArn"] == old.arn
    assert stayed == other
    # Repeated, or an older version that comes late: nothing moves.
    deploy(settings, version.id)
    deploy(settings, old.id)
    assert look(conn, follower.id) == moved

    # Another machine, or a lost Bento store and cache.
    empty(settings.bento_home)
    empty(repository.layout.cache)
    command = [sys.executable, "-m", "pipelines.versions.restore", version.id]
    subprocess.run(command, env={**os.environ, **settings.to_env()}, check=True, capture_output=True)
    Artefact.open(model_directory(settings, imported.solution.id, version.id))


def test_an_active_version_shows_what_its_search_found_best(
    conn: Connection, imported: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_stages(monkeypatch, tmp_path, best={"hidden_dimension": 64, "recency_mask": False, "factor": 0.25})
    version = new_version(conn, imported.solution, "00000001")
    with conn.begin():
        store.update(conn, version.id, doc={"performHPO": True})
    for step in (claim, reproduce):
        step(imported.settings, version.id)
        assert "tunedHPOParams" not in look(conn, version.id).doc
    publish(imported.settings, version.id)
    assert look(conn, version.id).doc["tunedHPOParams"] == {
        "algorithmHyperParameters": {"hidden_dimension": "64", "recency_mask": "False", "factor": "0.25"}
    }


def test_a_stage_that_gives_a_reason_ends_with_it(
    conn: Connection, imported: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = "Dataset has fewer than 25 users with at least 2 interactions each."
    tiny_stages(monkeypatch, tmp_path, prepare=f"echo 'failureReason: {reason}' >&2; exit 2")
    version = new_version(conn, imported.solution, "00000001")
    claim(imported.settings, version.id)
    with pytest.raises(VersionFailed, match=f"^{reason}$"):
        reproduce(imported.settings, version.id)
    assert not imported.repository.has(f"sv/{imported.solution.id}/{version.id}")
    fail(imported.settings, version.id, reason)
    failed = look(conn, version.id)
    assert (failed.status, failed.failure_reason) == (store.CREATE_FAILED, reason)


def test_what_has_ended_is_not_failed_any_more(conn: Connection, world: World) -> None:
    version = new_version(conn, world.solution, "00000001")
    with conn.begin():
        store.update(conn, version.id, status=store.ACTIVE)
    fail(world.settings, version.id, "too late")
    assert look(conn, version.id).status == store.ACTIVE
    fail(world.settings, "0" * 16, "never was")


def test_a_task_cleared_in_the_ui_goes_on_and_is_watched_again(
    conn: Connection, imported: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_stages(monkeypatch, tmp_path)
    version = new_version(conn, imported.solution, "00000001")
    with conn.begin():
        wishes.wish(conn, version, "solution_version")
    claim(imported.settings, version.id)
    fail(imported.settings, version.id, "the machine was switched off")
    with conn.begin():
        conn.execute(outbox.update().values(settled_at=version.created_at))
    reproduce(imported.settings, version.id)
    again = look(conn, version.id)
    assert (again.status, again.failure_reason) == (store.CREATE_IN_PROGRESS, None)
    with conn.begin():
        assert conn.execute(select(outbox.c.settled_at)).scalar_one() is None


def test_two_solutions_train_at_once_and_two_versions_of_one_queue(
    conn: Connection, imported: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_stages(monkeypatch, tmp_path)
    with conn.begin():
        second = add_solution(conn, imported.group, "second")
    versions = [
        new_version(conn, solution, suffix)
        for solution, suffix in ((imported.solution, "00000001"), (imported.solution, "00000002"), (second, "00000003"))
    ]
    for version in versions:
        claim(imported.settings, version.id)
    with ThreadPoolExecutor(3) as pool:
        for job in [pool.submit(reproduce, imported.settings, version.id) for version in versions]:
            job.result(timeout=300)
    assert all(imported.repository.has(f"sv/{version.parent_id}/{version.id}") for version in versions)


def test_without_interactions_it_says_what_to_do(conn: Connection, settings: Settings) -> None:
    with conn.begin():
        group = add_group(conn)
        solution = add_solution(conn, group)
    version = new_version(conn, solution, "00000001")
    with pytest.raises(VersionFailed, match="no Interactions dataset"):
        claim(settings, version.id)
    with conn.begin():
        add_dataset(conn, group)
    with pytest.raises(VersionFailed, match="no import has succeeded"):
        claim(settings, version.id)
    add_event(conn, group.id, 1)
    claim(settings, version.id)
    assert look(conn, version.id).internal["snapshots"] == {}


def test_streamed_events_alone_are_laid_out_beside_empty_snapshots(
    conn: Connection, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_stages(monkeypatch, tmp_path)
    with conn.begin():
        group = add_group(conn)
        add_dataset(conn, group)
        solution = add_solution(conn, group)
    add_event(conn, group.id, 1)
    with conn.begin():
        items = add_dataset(conn, group, "ITEMS")
        for _ in range(2):
            conn.execute(insert(records).values(dataset_id=items.id, record_id="i"))
    version = new_version(conn, solution, "00000001")
    claim(settings, version.id)
    with conn.begin():
        conn.execute(insert(records).values(dataset_id=items.id, record_id="later"))
    reproduce(settings, version.id)
    repository, tag = World(settings, group, solution).repository, f"sv/{solution.id}/{version.id}"
    repository.materialise(tag, "data/inputs/items", tmp_path / "items")
    assert json.loads((tmp_path / "items" / "manifest.json").read_text())["rows"] == 0
    repository.materialise(tag, "data/inputs/streamed", tmp_path / "streamed")
    rows = {
        kind: pq.read_table(tmp_path / "streamed" / f"{kind}.parquet") for kind in ("items", "interactions", "users")
    }
    assert rows["items"].select(["ITEM_ID", ARRIVAL]).to_pylist() == [{"ITEM_ID": "i", ARRIVAL: 2}]
    assert (rows["interactions"].num_rows, rows["users"].num_rows) == (1, 0)


def test_a_version_whose_solution_is_deleted_ends(
    conn: Connection, imported: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_stages(monkeypatch, tmp_path)
    version = new_version(conn, imported.solution, "00000001")
    claim(imported.settings, version.id)
    reproduce(imported.settings, version.id)
    from pipelines.versions import bentos

    build = bentos.build

    def build_then_delete(settings: Settings, spec: bentos.Spec) -> None:
        build(settings, spec)
        with conn.begin():
            store.update(conn, imported.solution.id, status=store.DELETE_PENDING)

    monkeypatch.setattr(bentos, "build", build_then_delete)
    with pytest.raises(VersionGone):
        publish(imported.settings, version.id)
    assert not model_directory(imported.settings, imported.solution.id, version.id).exists()
    for step in (claim, reproduce, publish, deploy):
        with pytest.raises(VersionGone, match="was deleted"):
            step(imported.settings, version.id)


def test_an_active_version_is_not_made_again(conn: Connection, world: World) -> None:
    version = new_version(conn, world.solution, "00000001")
    with conn.begin():
        store.update(conn, version.id, status=store.ACTIVE)
    with pytest.raises(VersionGone, match="create a new version"):
        claim(world.settings, version.id)


def test_a_configuration_that_the_recipe_does_not_allow_fails_with_the_field(conn: Connection, imported: World) -> None:
    version = new_version(conn, imported.solution, "00000001")
    with conn.begin():
        store.update(conn, version.id, doc={"solutionConfig": {"algorithmHyperParameters": {"bptt": "1000"}}})
    claim(imported.settings, version.id)
    with pytest.raises(VersionFailed, match="bptt"):
        reproduce(imported.settings, version.id)
