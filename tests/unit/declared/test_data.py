"""Where a dataset's data lies, on disk and in S3."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from pipelines.aws.errors import InvalidInput
from pipelines.datasets.errors import ImportRefused
from pipelines.declared.data import find
from pipelines.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Reads below `tmp_path` and nowhere else."""
    return Settings(home=tmp_path / "home", import_roots=(tmp_path / "train",))


def test_a_folder_or_a_file_of_the_name_is_found(settings: Settings, tmp_path: Path) -> None:
    place = tmp_path / "train" / "my shop"
    location = f"{(tmp_path / 'train').as_uri()}/my%20shop/items"
    assert find(settings, location) is None
    place.mkdir(parents=True)
    (place / "items.csv").write_text("")
    assert find(settings, location) == f"{location}.csv" == find(settings, f"{location}.csv")
    (place / "items").mkdir()
    assert find(settings, location) == f"{location}/"


def test_what_lies_outside_the_roots_is_not_read(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("")
    with pytest.raises(InvalidInput, match="OPENPERSONALIZE_IMPORT_ROOTS"):
        find(dataclasses.replace(settings, import_roots=(tmp_path / "train",)), (tmp_path / "items").as_uri())


def test_in_s3_a_folder_an_object_or_a_csv_of_the_name_is_found(settings: Settings, s3: Any) -> None:
    assert find(settings, "s3://shop/train/interactions") is None
    s3.put_object(Bucket="shop", Key="train/interactions_old.csv", Body=b"")
    assert find(settings, "s3://shop/train/interactions") is None
    s3.put_object(Bucket="shop", Key="train/interactions.csv", Body=b"")
    assert find(settings, "s3://shop/train/interactions") == "s3://shop/train/interactions.csv"
    assert find(settings, "s3://shop/train/interactions.csv") == "s3://shop/train/interactions.csv"
    s3.put_object(Bucket="shop", Key="train/interactions/part-1.csv", Body=b"")
    assert find(settings, "s3://shop/train/interactions") == "s3://shop/train/interactions/"
    with pytest.raises(ImportRefused, match="nowhere"):
        find(settings, "s3://nowhere/train/interactions")
