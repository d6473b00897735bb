"""An update of a version, from what is written down first to what is served; the stages take no time here."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import Connection

from pipelines.deletions.sweeping import _begun
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.serving.artefact import Artefact
from pipelines.serving.local import fetch, model_directory
from pipelines.settings import Settings
from pipelines.versions import VersionFailed, claim, publish, reproduce, updating
from pipelines.versions.updatable import NotUpdatable
from pipelines.versions.updating import fail, update
from tests.support.registry import add_campaign
from tests.support.updates import put_events, tiny_update
from tests.support.versions import World, empty, look, new_version, tiny_stages

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def deployed(conn: Connection, imported: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Resource:
    """A version that a campaign serves; its Bento, which takes seconds to make, is only said to be there."""
    made = tmp_path / "made-artefact"
    tiny_stages(monkeypatch, tmp_path)
    tiny_update(monkeypatch, tmp_path, made)
    settings, version = imported.settings, new_version(conn, imported.solution, "00000001")
    for step in (claim, reproduce):
        step(settings, version.id)
    with conn.begin():
        store.update(conn, version.id, status=store.ACTIVE, internal={"metrics": {"coverage": 0.5}})
        add_campaign(conn, version, "home", store.ACTIVE)
    model = model_directory(settings, imported.solution.id, version.id)
    shutil.copytree(made, model)
    (model / "model.yaml").write_text("name: solution\n")
    (settings.bento_home / "bentos" / model.parent.name / model.name).mkdir(parents=True)
    return look(conn, version.id)


def stream(conn: Connection, world: World, name: str) -> None:
    put_events(conn, world.group.id, 3, users=2, items=3, name=name, since=1e9)


def served_edition(settings: Settings, version: Resource) -> int:
    artefact = Artefact.open(model_directory(settings, str(version.parent_id), version.id))
    return int(artefact.manifest.get("edition", 0))


def test_the_life_of_updates(
    conn: Connection, imported: World, deployed: Resource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, repository, tag = imported.settings, imported.repository, deployed.internal["tag"]
    stream(conn, imported, "first")
    update(settings, deployed.id, NOW)
    now = look(conn, deployed.id)
    [done] = now.internal["updates"]
    assert (done["number"], done["tag"], done["edition"]) == (1, f"{tag}.1", 1)
    assert (done["event_cutoff"], done["rows"], done["items"], done["at"]) == (3, 7, 40, NOW.isoformat())
    # The version is what it was, but for what is served of it.
    assert (now.status, now.doc, now.updated_at) == (deployed.status, deployed.doc, deployed.updated_at)
    assert all(now.internal[key] == deployed.internal[key] for key in ("event_cutoff", "metrics", "tag", "snapshots"))
    assert served_edition(settings, deployed) == now.internal["edition"] == 1
    with conn.begin():
        [campaign] = store.in_group(conn, imported.group.id, "Campaign")
    assert (campaign.status, campaign.internal["deployment"]["edition"]) == (store.ACTIVE, 1)
    assert "latestCampaignUpdate" not in campaign.doc
    params = yaml.safe_load(repository.show(f"{tag}.1", "params.yaml"))
    assert params["update"]["cutoffs"] == {"events": deployed.internal["event_cutoff"], "users": 0}
    assert params["hyperparameters"] == yaml.safe_load(repository.show(tag, "params.yaml"))["hyperparameters"]
    assert json.loads(repository.show(f"{tag}.1", "data/reports/metrics.json"))["metrics"] == {"coverage": 0.5}

    # One that fails leaves what is served, and says why.
    tiny_update(monkeypatch, tmp_path, tmp_path / "made-artefact", "The shop is closed.")
    stream(conn, imported, "second")
    with pytest.raises(VersionFailed, match="The shop is closed"):
        update(settings, deployed.id, NOW)
    begun = look(conn, deployed.id)
    # A deletion of users waits for what began with data of before it.
    with conn.begin():
        assert [one.id for one in _begun(conn, _Job(imported.group))] == [deployed.id]
    fail(settings, deployed.id, "The shop is closed.", NOW)
    failed = look(conn, deployed.id)
    assert failed.internal["update_failed"] == {"number": 2, "at": NOW.isoformat(), "reason": "The shop is closed."}
    assert (failed.internal["updates"], failed.internal["updating"]) == ([done], None)
    assert begun.internal["updating"]["event_cutoff"] == 6
    assert served_edition(settings, deployed) == 1

    # The next one is another; of older ones so many keep their tags.
    tiny_update(monkeypatch, tmp_path, tmp_path / "made-artefact")
    monkeypatch.setattr(updating, "KEPT", 1)
    update(settings, deployed.id, NOW)
    again = look(conn, deployed.id).internal
    assert [one["number"] for one in again["updates"]] == [3]
    assert (again["update_failed"], again["edition"]) == (None, 2)
    assert repository.tags("sv") == [tag, f"{tag}.3"]


class _Job:
    """As much of a data deletion job as asks who is under way."""

    def __init__(self, group: Resource) -> None:
        self.group = group


@pytest.mark.soak
def test_an_update_that_was_killed_goes_on_with_the_inputs_that_it_had(
    conn: Connection,
    imported: World,
    deployed: Resource,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings, tag = imported.settings, deployed.internal["tag"]
    stream(conn, imported, "first")

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    # Before anything was made, then when it was made and not yet served.
    for step in ("_make", "_publish"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(updating, step, killed)
            update(settings, deployed.id, NOW)
        assert look(conn, deployed.id).internal["updating"]["event_cutoff"] == 3
        assert (served_edition(settings, deployed), look(conn, deployed.id).internal.get("updates")) == (0, None)
        stream(conn, imported, f"after {step}")
    assert imported.repository.has(f"{tag}.1")
    with caplog.at_level(logging.INFO):
        update(settings, deployed.id, NOW)
    assert f"an earlier attempt has already made and pushed {tag}.1" in [r.getMessage() for r in caplog.records]
    [done] = look(conn, deployed.id).internal["updates"]
    assert (done["number"], done["event_cutoff"]) == (1, 3)
    assert served_edition(settings, deployed) == 1

    # Another machine, or a lost store and cache: the newest comes back.
    empty(settings.bento_home)
    empty(imported.repository.layout.cache)
    manifest = json.loads((fetch(settings, imported.solution.id, deployed.id, 1) / "manifest.json").read_text())
    assert manifest["edition"] == 1


def test_what_cannot_be_updated_is_refused_before_anything_is_written(
    conn: Connection, imported: World, deployed: Resource
) -> None:
    with conn.begin():
        store.insert(
            conn,
            kind="DataDeletionJob",
            arn="arn:job",
            name="job",
            status=store.IN_PROGRESS,
            group_id=imported.group.id,
            parent_id=imported.group.id,
            doc={},
        )
    with pytest.raises(NotUpdatable, match="Users are being deleted"):
        update(imported.settings, deployed.id, NOW)
    assert look(conn, deployed.id) == deployed


@pytest.mark.soak
def test_a_version_of_mode_update_has_the_weights_and_metrics_of_its_base(
    conn: Connection, imported: World, deployed: Resource
) -> None:
    settings, repository = imported.settings, imported.repository
    stream(conn, imported, "first")
    version = new_version(conn, imported.solution, "00000002")
    with conn.begin():
        store.update(conn, version.id, doc={"trainingMode": "UPDATE"}, internal={"base": deployed.id})
    for step in (claim, reproduce, publish):
        step(settings, version.id)
    made = look(conn, version.id)
    assert (made.status, made.internal["metrics"], made.internal["event_cutoff"]) == (
        store.ACTIVE,
        {"coverage": 0.5},
        3,
    )
    assert repository.pointer(made.internal["tag"], "data/model") == repository.pointer(
        deployed.internal["tag"], "data/model"
    )
    manifest = Artefact.open(model_directory(settings, imported.solution.id, version.id)).manifest
    assert (manifest["updated_from"], manifest["cutoffs"]["events"]) == (deployed.id, deployed.internal["event_cutoff"])
    with pytest.raises(NotUpdatable, match="train FULL again"):
        update(settings, deployed.id, NOW)
    # The full trainings' branch has nothing of it.
    log = subprocess.run(
        ["git", "log", "--format=%s", f"solution/{imported.solution.id}"],
        cwd=repository.layout.git_dir,
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.arn not in log.stdout and deployed.arn in log.stdout
