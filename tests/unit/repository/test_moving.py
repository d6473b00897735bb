"""A group's tags and objects pushed to a bucket and pulled back from it, on moto."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from pipelines.repository import GroupRepository, RepositoryError
from pipelines.repository.moving import pull, push
from pipelines.settings import Settings

GROUP = "0123456789abcdef"
TAG = "data/d1/00000000000000j1"


def quiet(_done: int, _of: int) -> None:
    """No progress."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a home and a remote that have one snapshot; not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    source = folder / "work"
    source.mkdir()
    (source / "part").write_text("one")
    settings = Settings(home=folder / "home", dvc_remote=str(folder / "remote"))
    GroupRepository(settings, GROUP).commit_snapshot("d1", source, TAG, "Import j1")
    return folder


@pytest.fixture
def repository(made: Path, tmp_path: Path) -> GroupRepository:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True, symlinks=True)
    return GroupRepository(Settings(home=tmp_path / "home", dvc_remote=str(tmp_path / "remote")), GROUP)


def test_what_was_pushed_to_a_bucket_comes_back_when_all_here_is_lost(s3: Any, repository: GroupRepository) -> None:
    commit = repository.commit(TAG)
    assert push(repository, "s3://shop/models", quiet).objects == 2
    s3.put_object(Bucket="shop", Key=f"models/{GROUP}/files/md5/00/{'1' * 30}", Body=b"of a deleted user")
    # Nothing is copied twice, what nothing names goes, and Git's part is there beside the objects.
    again = push(repository, "s3://shop/models", quiet)
    assert (again.objects, again.removed) == (0, 1)
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket="shop")["Contents"]]
    assert f"models/{GROUP}/repo.bundle" in keys and len(keys) == 3
    shutil.rmtree(repository.layout.root)
    shutil.rmtree(repository.layout.remote_url)

    assert pull(repository, "s3://shop/models", lambda tag: False, quiet).tags == []
    assert not repository.has(TAG), "what the registry does not know stays there"
    found = pull(repository, "s3://shop/models", lambda tag: True, quiet)

    assert (found.tags, found.there, found.objects, found.checked) == ([TAG], [], 2, 2)
    assert repository.commit(TAG) == commit
    # By its digest, which is that of b"one".
    assert (Path(repository.layout.remote_url) / "files/md5/f9/7c5d29941bfb1b2fdab0874906ab82").read_bytes() == b"one"


def test_a_pull_repairs_the_remote_and_leaves_tags_as_they_are(repository: GroupRepository, tmp_path: Path) -> None:
    push(repository, str(tmp_path / "elsewhere"), quiet)
    shutil.rmtree(repository.layout.remote_url)
    repository._git("tag", "--force", "data/d1/00000000000000j2", "main")
    found = pull(repository, str(tmp_path / "elsewhere"), lambda tag: True, quiet)
    assert (found.tags, found.there, found.objects) == ([], [TAG], 2)
    # Here a data deletion job may have rewritten it.
    repository._git("tag", "--force", TAG, "main")
    assert pull(repository, str(tmp_path / "elsewhere"), lambda tag: True, quiet).differing == [TAG]
    assert repository.commit(TAG) == repository.commit("data/d1/00000000000000j2")


def test_changed_bytes_are_refused_and_no_tag_is_set(repository: GroupRepository, tmp_path: Path) -> None:
    push(repository, str(tmp_path / "elsewhere"), quiet)
    shutil.rmtree(repository.layout.root)
    shutil.rmtree(repository.layout.remote_url)
    [part] = [p for p in (tmp_path / "elsewhere").rglob("files/md5/??/*") if not p.name.endswith(".dir")]
    part.chmod(0o644)
    part.write_text("two")
    with pytest.raises(RepositoryError, match="does not have the bytes that it is named after"):
        pull(repository, str(tmp_path / "elsewhere"), lambda tag: True, quiet)
    assert not repository.has(TAG)


def test_where_nothing_was_pushed_and_the_own_remote_are_said(
    s3: Any, repository: GroupRepository, tmp_path: Path
) -> None:
    with pytest.raises(RepositoryError, match=r"has no repo\.bundle"):
        pull(repository, "s3://shop/nothing", lambda tag: True, quiet)
    with pytest.raises(RepositoryError, match="nobody-made-this"):
        push(repository, "s3://nobody-made-this", quiet)
    with pytest.raises(RepositoryError, match="pushed as it is made"):
        push(repository, str(tmp_path / "remote"), quiet)
    with pytest.raises(RepositoryError, match="s3://bucket/prefix, is needed"):
        push(repository, "gs://shop", quiet)
