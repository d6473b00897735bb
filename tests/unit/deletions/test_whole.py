"""A deletion from its list to its proof, every step killed once in its middle, on real PostgreSQL, Git, DVC, BentoML."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from pipelines import deletions
from pipelines.datasets.snapshot import Snapshot
from pipelines.deletions import files, finishing, job, reading, sweeping, versions
from pipelines.registry import store
from pipelines.registry.tables import action_events, events, exposures, records, served
from pipelines.repository import GroupRepository
from pipelines.serving.artefact import Artefact
from pipelines.serving.local import model_directory
from tests.support.searching import dumped_with, files_with, objects_with
from tests.unit.deletions.conftest import PLANTED, STAYS, Everywhere


class Killed(BaseException):
    """Stands for a kill -9: nothing catches it."""


def killed_at(module: Any, name: str, step: Any, *given: Any) -> None:
    """Run a step whose process dies as it comes to call `name`."""
    with pytest.MonkeyPatch.context() as monkeypatch, pytest.raises(Killed):

        def die(*_args: Any, **_given: Any) -> None:
            raise Killed

        monkeypatch.setattr(module, name, die)
        step(*given)


@pytest.fixture(scope="module")
def found_before(everywhere: Everywhere) -> list[str]:
    home = everywhere.place.settings.home
    return [*files_with(PLANTED, home), *dumped_with(PLANTED, everywhere.place.settings.database_url)]


@pytest.fixture(scope="module")
def done(everywhere: Everywhere, found_before: list[str]) -> store.Resource:
    """The job after all its steps, each of which died on the way once or twice."""
    place = everywhere.place
    made = place.job(PLANTED, "never-seen")
    here = (place.settings, made.id)
    killed_at(reading, "_write", deletions.read, *here)
    deletions.read(*here)
    killed_at(sweeping.rows, "delete", deletions.sweep, *here)
    assert deletions.sweep(*here)
    killed_at(versions, "build", deletions.clean, *here)
    killed_at(GroupRepository, "purge", deletions.clean, *here)
    deletions.clean(*here)
    killed_at(files, "_black_out_parquet", deletions.finish, *here)
    killed_at(finishing, "_complete", deletions.finish, *here)
    killed_at(finishing.jobs, "discard", deletions.finish, *here)
    deletions.finish(*here)
    return place.look(made.id)


def test_the_searcher_found_the_user_in_every_kind_of_place(everywhere: Everywhere, found_before: list[str]) -> None:
    layout = everywhere.place.repository.layout
    where = " ".join(found_before)
    for part in (f"{layout.cache}/files", f"{layout.remote_url}/files", "bentoml/models", "imports", "logs/airflow"):
        assert part in where
    for table in ("events", "records", "served", "exposures", "resources"):
        assert f"INSERT INTO openpersonalize.{table}" in where


def test_it_is_completed_and_counts_the_records(done: store.Resource) -> None:
    assert (done.status, done.failure_reason) == (store.COMPLETED, None)
    removed = done.internal[job.REMOVED]
    expected = {"rows of INTERACTIONS": 10, "rows of USERS": 1, "events": 2, "users": 1, "action interactions": 0}
    assert {name: removed[name] for name in expected} == expected
    assert done.doc["numDeleted"] == 14
    assert (removed["served answers"], removed["users of experiments"]) == (1, 2)


def test_the_user_is_nowhere_any_more(everywhere: Everywhere, done: store.Resource) -> None:
    settings = everywhere.place.settings
    assert files_with(PLANTED, settings.home) == []
    assert objects_with(PLANTED, settings.home) == []
    assert dumped_with(PLANTED, settings.database_url) == []


def test_everybody_else_s_rows_stay(everywhere: Everywhere, done: store.Resource, tmp_path: Any) -> None:
    place = everywhere.place
    tag = place.look(everywhere.interactions.id).internal["snapshot"]["tag"]
    place.repository.materialise(tag, "snapshot", tmp_path / "now")
    snapshot = Snapshot.open(tmp_path / "now")
    assert (snapshot.rows, snapshot.ids("USER_ID").to_pylist()) == (10, [STAYS])
    with place.conn.begin():
        assert list(place.conn.execute(select(events.c.user_id)).scalars()) == [STAYS]
        assert list(place.conn.execute(select(records.c.record_id)).scalars()) == [STAYS]
        assert list(place.conn.execute(select(exposures.c.user_key)).scalars()) == [STAYS]
        assert not place.conn.execute(select(served)).all() and not place.conn.execute(select(action_events)).all()


def test_older_snapshots_are_gone_and_their_imports_marked(everywhere: Everywhere, done: store.Resource) -> None:
    place = everywhere.place
    assert all(done.id in tag for tag in place.repository.tags("data"))
    mark = place.look(everywhere.first.id).internal["no_longer_reproducible"]
    assert mark["job"] == done.arn and mark["when"]


def test_a_version_that_nobody_serves_is_dropped_and_marked(everywhere: Everywhere, done: store.Resource) -> None:
    place, idle = everywhere.place, everywhere.idle
    version = place.look(idle.id)
    assert version.internal["dropped"] and version.internal["no_longer_reproducible"]["job"] == done.arn
    assert not place.repository.has(f"sv/{idle.parent_id}/{idle.id}")
    assert not model_directory(place.settings, str(idle.parent_id), idle.id).exists()


def test_a_version_that_is_served_goes_on_without_the_user(everywhere: Everywhere, done: store.Resource) -> None:
    place, deployed = everywhere.place, everywhere.deployed
    version = place.look(deployed.id)
    assert version.status == store.ACTIVE and not version.internal["dropped"]
    artefact = Artefact.open(model_directory(place.settings, str(deployed.parent_id), deployed.id))
    assert (artefact.users.code(PLANTED), artefact.users.code(STAYS)) == (None, 1)
    assert artefact.manifest["edition"] == version.internal["edition"] > 1
    # Its updates, which held the user, are gone, and it is the version's own again.
    assert version.internal["updates"] == []
    assert place.repository.tags(f"sv/{deployed.parent_id}") == [version.internal["tag"]]
    assert (
        place.look(everywhere.campaign.id).internal["deployment"]["id"]
        != everywhere.campaign.internal["deployment"]["id"]
    )


def test_it_comes_back_from_the_remote_without_the_user_too(
    everywhere: Everywhere, done: store.Resource, tmp_path: Any
) -> None:
    place, deployed = everywhere.place, everywhere.deployed
    (place.repository.layout.cache / "files").rename(tmp_path / "cache")
    place.repository.materialise(f"sv/{deployed.parent_id}/{deployed.id}", "data/artefact", tmp_path / "artefact")
    assert Artefact.open(tmp_path / "artefact").users.code(PLANTED) is None


def test_logs_and_reports_are_overwritten_and_nothing_in_them_moves(
    everywhere: Everywhere, done: store.Resource
) -> None:
    settings, black = everywhere.place.settings, "x" * 32
    reason = f"in.csv line 3, USER_ID '{black}' has no item"
    assert everywhere.place.look(everywhere.failed.id).failure_reason == reason
    assert (settings.logs_dir / "control.log").read_text() == f"a line\n{reason}\na last line\n"
    assert json.loads((settings.logs_dir / "airflow" / "task.log").read_text()) == {"event": f"first\n{black}"}
    assert gzip.decompress((settings.logs_dir / "airflow" / "old.log.gz").read_bytes()).decode() == reason
    rejects = pq.read_table(settings.imports_dir / everywhere.failed.id / "rejects.parquet").to_pydict()
    assert rejects == {"line": [3, 4], "value": [black, None], "reason": [reason, "other"]}


def test_the_report_proves_it_and_names_nobody(everywhere: Everywhere, done: store.Resource) -> None:
    folder = everywhere.place.settings.deletions_dir / done.id
    text = (folder / "report.html").read_text()
    assert "Nothing of them is left." in text and "DVC cache" in text and "Git objects" in text
    assert PLANTED not in text and "never-seen" not in text
    assert [path.name for path in folder.iterdir()] == ["report.html"], "the list of users goes"
