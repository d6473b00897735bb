"""What has to go from Git, cache and remote goes, and nothing else; on real git and DVC."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from pipelines.repository import GroupRepository, RepositoryError
from pipelines.repository.locks import locked
from pipelines.settings import Settings


@pytest.fixture
def repository(tmp_path: Path) -> GroupRepository:
    return GroupRepository(Settings(home=tmp_path / "home", dvc_remote=str(tmp_path / "remote")), "0123456789abcdef")


def commit(repository: GroupRepository, work: Path, job: str, content: str) -> str:
    for name in ("dictionary", "parts"):
        (work / name).mkdir(parents=True)
        (work / name / "file").write_text(f"{name} {content}")
    repository.commit_snapshot("d1", work, f"data/d1/{job}", f"Import {job}")
    return f"data/d1/{job}"


def holds(folder: Path, content: str) -> bool:
    return any(content in path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


def test_a_dropped_tag_is_purged_from_cache_and_remote_and_the_others_stay(
    repository: GroupRepository, tmp_path: Path
) -> None:
    old, new = (commit(repository, tmp_path / "work", job, f"of {job}") for job in ("j1", "j2"))
    (repository.layout.cache / "runs" / "ab").mkdir(parents=True)
    stores = (repository.layout.cache, tmp_path / "remote")
    assert all(holds(store, "of j1") for store in stores)
    repository.drop([old])
    repository.release("data/d1", [new])
    repository.purge()
    assert not any(holds(store, "of j1") for store in stores)
    assert all(holds(store, "of j2") for store in stores)
    assert repository.tags("data") == [new]
    assert not (repository.layout.cache / "runs").exists()
    repository.materialise(new, "snapshot", tmp_path / "out")
    # A branch whose newest commit is nobody's is begun anew.
    repository.release("data/d1", [])
    assert repository.tags("data") == [new] == [commit(repository, tmp_path / "work", "j2", "of j2")]


def test_a_version_that_is_replaced_keeps_its_tag_its_reports_and_the_new_artefact(
    repository: GroupRepository, tmp_path: Path
) -> None:
    tag = "sv/s1/v1"
    with repository.worktree("solution/s1", "v1") as tree:
        (tree.path / "data" / "artefact").mkdir(parents=True)
        (tree.path / "data" / "artefact" / "ids").write_text("somebody")
        (tree.path / "data" / "model").write_text("made of somebody")
        (tree.path / "report.json").write_text("{}")
        tree.record("v1", tag, ["add", "--quiet", "data/artefact", "data/model"])
    (tmp_path / "scrubbed").mkdir()
    (tmp_path / "scrubbed" / "ids").write_text("nobody")
    repository.replace_version(tag, tmp_path / "scrubbed", ["report.json"], "job", "Without somebody")
    repository.release("solution/s1", [tag])
    repository.purge()
    repository.materialise(tag, "data/artefact", tmp_path / "out")
    assert (tmp_path / "out" / "ids").read_text() == "nobody"
    assert repository.show(tag, "report.json") == b"{}"
    with pytest.raises(RepositoryError, match="does not have data/model"):
        repository.pointer(tag, "data/model")
    assert not any(holds(store, "somebody") for store in (repository.layout.cache, tmp_path / "remote"))


def test_a_part_of_a_directory_comes_alone_also_from_the_remote(repository: GroupRepository, tmp_path: Path) -> None:
    tag = commit(repository, tmp_path / "work", "j1", "one")
    (repository.layout.cache / "files").rename(tmp_path / "elsewhere")
    repository.materialise(tag, "snapshot", tmp_path / "out", only=["dictionary"])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["dictionary"]


def test_a_purge_waits_for_the_jobs_that_run(repository: GroupRepository) -> None:
    repository.ensure()
    purging = threading.Thread(target=repository.purge)
    with locked(repository.layout.lock("jobs"), shared=True):
        purging.start()
        purging.join(0.5)
        assert purging.is_alive()
    purging.join(60)
    assert not purging.is_alive()
