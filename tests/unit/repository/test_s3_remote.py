"""A group whose DVC remote is a prefix in a bucket, on moto: pushed to, restored from, and removed alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from pipelines.repository import CommandFailed, GroupRepository
from pipelines.settings import Settings

GROUP = "0123456789abcdef"


@pytest.fixture
def s3(moto: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    import boto3

    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", moto)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.client("s3")
    client.create_bucket(Bucket="models")
    yield client
    for key in keys(client):
        client.delete_object(Bucket="models", Key=key)
    client.delete_bucket(Bucket="models")


def keys(s3: Any) -> list[str]:
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket="models").get("Contents", [])]


@pytest.fixture
def repository(tmp_path: Path) -> GroupRepository:
    return GroupRepository(Settings(home=tmp_path / "home", dvc_remote="s3://models/some/prefix/"), GROUP)


def commit(repository: GroupRepository, tmp_path: Path, job: str, content: str) -> str:
    source = tmp_path / "work" / job
    source.mkdir(parents=True)
    (source / "part").write_text(content)
    tag = f"data/d1/{job}"
    repository.commit_snapshot("d1", source, tag, f"Import {job}")
    return tag


def test_snapshots_are_pushed_to_the_prefix_and_come_back_from_it(
    s3: Any, repository: GroupRepository, tmp_path: Path
) -> None:
    first = commit(repository, tmp_path, "j1", "one")
    commit(repository, tmp_path, "j2", "two")
    pushed = keys(s3)
    # Two folders of one file each.
    assert len(pushed) == 4
    assert {key.rpartition("/files/md5/")[0] for key in pushed} == {f"some/prefix/{GROUP}"}

    shutil.rmtree(repository.layout.cache)
    repository.materialise(first, "snapshot", tmp_path / "out")

    assert (tmp_path / "out" / "part").read_text() == "one"
    # What a clone needs is committed; where this machine finds the bucket, and its keys, are not.
    config = repository.show(first, ".dvc/config").decode()
    assert f"url = s3://models/some/prefix/{GROUP}" in config
    assert "endpointurl" not in config and "key" not in config


def test_collecting_leaves_the_bucket_alone_and_frees_the_cache(
    s3: Any, repository: GroupRepository, tmp_path: Path
) -> None:
    first = commit(repository, tmp_path, "j1", "one")
    commit(repository, tmp_path, "j2", "two")
    pushed = keys(s3)

    assert repository.collect()

    assert keys(s3) == pushed
    assert sum(file.is_file() for file in (repository.layout.cache / "files").rglob("*")) == 2
    repository.materialise(first, "snapshot", tmp_path / "out")
    assert (tmp_path / "out" / "part").read_text() == "one"


def test_a_purge_takes_what_no_tag_names_from_the_bucket(s3: Any, repository: GroupRepository, tmp_path: Path) -> None:
    first = commit(repository, tmp_path, "j1", "one")
    before = keys(s3)
    second = commit(repository, tmp_path, "j2", "two")
    repository.drop([first])
    repository.purge()
    assert len(keys(s3)) == 2 and not set(keys(s3)) & set(before)
    assert repository.tags("data") == [second]


def test_deleting_a_group_takes_its_prefix_and_no_other(s3: Any, repository: GroupRepository, tmp_path: Path) -> None:
    commit(repository, tmp_path, "j1", "one")
    s3.put_object(Bucket="models", Key=f"some/prefix/{GROUP}0/of-another-group", Body=b"")

    repository.delete()
    repository.delete()

    assert keys(s3) == [f"some/prefix/{GROUP}0/of-another-group"]


def test_without_the_bucket_nothing_is_tagged_and_the_error_names_it(s3: Any, tmp_path: Path) -> None:
    repository = GroupRepository(Settings(home=tmp_path / "home", dvc_remote="s3://nobody-made-this"), GROUP)

    with pytest.raises(CommandFailed, match="bucket"):
        commit(repository, tmp_path, "j1", "one")

    assert not repository.has("data/d1/j1")
