"""Where data may lie: files, folders, S3 prefixes; what is refused and with which words."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.datasets.errors import ImportRefused, SourceUnreachable
from pipelines.datasets.source import fetch
from pipelines.settings import Settings

CSV = b"USER_ID\nu\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def local(root: Path, tmp_path: Path) -> Settings:
    return replace(Settings.from_env({"OPENPERSONALIZE_HOME": str(tmp_path / "home")}), import_roots=(root,))


def names(files: list[Any]) -> list[str]:
    return [Path(file.name).name for file in files]


def test_a_file_under_a_root_is_read_where_it_lies(local: Settings, root: Path, tmp_path: Path) -> None:
    path = root / "odd [name]*.csv"
    path.write_bytes(CSV)
    [file] = fetch(local, path.as_uri(), tmp_path / "work")
    assert (file.name, file.size, file.path.read_bytes()) == (str(path), len(CSV), CSV)
    assert file.path.resolve() == path
    assert "*" not in str(file.path), "the reader must not take a name for a pattern"


def test_a_folder_gives_its_files_by_name_and_leaves_markers_out(local: Settings, root: Path, tmp_path: Path) -> None:
    (root / "f" / "sub").mkdir(parents=True)
    for name in ("_temporary", ".git"):
        (root / "f" / name).mkdir()
    for name in ("b.csv", "a.csv", "sub/c.csv", "_SUCCESS", ".a.csv.crc", "_temporary/d.csv", ".git/e.csv"):
        (root / "f" / name).write_bytes(CSV)
    assert names(fetch(local, f"file://{root}/f/", tmp_path / "work")) == ["a.csv", "b.csv", "c.csv"]


@pytest.mark.parametrize(
    "where",
    [
        "file:///etc/passwd",
        "file://{root}/../secret.csv",
        "file://{root}/link.csv",
        "file://{root}/%2e%2e/secret.csv",
        "file://{root}/folder/",
    ],
)
def test_nothing_outside_the_roots_can_be_read(local: Settings, root: Path, tmp_path: Path, where: str) -> None:
    (tmp_path / "secret.csv").write_bytes(CSV)
    (root / "link.csv").symlink_to(tmp_path / "secret.csv")
    (root / "folder").mkdir()
    (root / "folder" / "inner.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(ImportRefused, match="outside the folders") as refused:
        fetch(local, where.format(root=root), tmp_path / "work")
    assert "OPENPERSONALIZE_IMPORT_ROOTS" in str(refused.value)


def test_the_platforms_secrets_cannot_be_read_even_below_a_root(local: Settings, tmp_path: Path) -> None:
    local.secrets_dir.mkdir(parents=True)
    (local.secrets_dir / "access_keys").write_bytes(b"ID:SECRET")
    above = replace(local, import_roots=(tmp_path,))
    for where in (local.secrets_dir / "access_keys", local.home):
        with pytest.raises(ImportRefused, match="outside the folders"):
            fetch(above, where.as_uri(), tmp_path / "work")


def test_links_in_a_circle_lead_nowhere(local: Settings, root: Path, tmp_path: Path) -> None:
    (root / "a").symlink_to(root / "b")
    (root / "b").symlink_to(root / "a")
    with pytest.raises(ImportRefused, match="no file or folder"):
        fetch(local, f"file://{root}/a", tmp_path / "work")


def test_a_folder_that_may_not_be_looked_into_is_named(
    local: Settings, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    # Tests may run as root, who may look into everything.
    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(ImportRefused, match=rf"may not look into {root}/x"):
        fetch(local, f"file://{root}/x", tmp_path / "work")


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("file://{root}/missing.csv", "There is no file or folder"),
        ("file://{root}/empty/", "holds no file"),
        ("file://elsewhere/x.csv", "names the host 'elsewhere'"),
        ("http://example.org/x.csv", "must start with s3://"),
        ("x.csv", "must start with s3://"),
    ],
)
def test_a_location_that_leads_nowhere_is_an_invalid_data_location(
    local: Settings, root: Path, tmp_path: Path, location: str, words: str
) -> None:
    (root / "empty").mkdir()
    with pytest.raises(ImportRefused, match=r"^Invalid Data location\.") as refused:
        fetch(local, location.format(root=root), tmp_path / "work")
    assert words in str(refused.value)


def test_gzip_is_unpacked_whatever_its_name(local: Settings, root: Path, tmp_path: Path) -> None:
    (root / "data.csv").write_bytes(gzip.compress(CSV))
    [file] = fetch(local, f"file://{root}/data.csv", tmp_path / "work")
    assert (file.path.read_bytes(), file.size) == (CSV, len(CSV))
    assert gzip.decompress((root / "data.csv").read_bytes()) == CSV, "the original stays"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(CSV * 100)[:-9], "not a whole gzip file"),
        (gzip.compress(gzip.compress(CSV)), "packed twice"),
        (gzip.compress(b"PK\x03\x04xxxx"), "ZIP or Excel"),
        (b"PARExxxx", "encrypted Parquet"),
        (b"PK\x03\x04xxxx", "ZIP or Excel"),
        ("USER_ID\n".encode("utf-16"), "UTF-16"),
    ],
    # Not by the bytes: gzip writes the time into them.
    ids=["cut gzip", "gzip twice", "zip in gzip", "encrypted Parquet", "zip", "UTF-16"],
)
def test_what_is_no_csv_is_said_to_be_what_it_is(
    local: Settings, root: Path, tmp_path: Path, content: bytes, words: str
) -> None:
    (root / "data.csv").write_bytes(content)
    with pytest.raises(ImportRefused, match=words):
        fetch(local, f"file://{root}/data.csv", tmp_path / "work")


def test_a_small_file_that_unpacks_to_more_than_half_the_disk_is_refused(
    local: Settings, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "bomb.csv.gz").write_bytes(gzip.compress(b"u,i\n" * 5_000_000))
    monkeypatch.setattr("pipelines.datasets.source.free_bytes", lambda _: 10_000_000)
    with pytest.raises(ImportRefused, match=r"bomb\.csv\.gz unpacks to more than 5,000,000 bytes"):
        fetch(local, f"file://{root}/bomb.csv.gz", tmp_path / "work")
    assert sum(path.stat().st_size for path in (tmp_path / "work").iterdir() if not path.is_symlink()) <= 5_000_000


# S3 ------------------------------------------------------------------------------------------------


def test_s3_takes_the_exact_key_before_the_prefix(s3: Any, local: Settings, tmp_path: Path) -> None:
    for key in ("f", "f_test/a.csv", "f2.csv", "g/b.csv", "g/a.csv", "g/", "g/_SUCCESS"):
        s3.put_object(Bucket="shop", Key=key, Body=CSV)
    assert [file.name for file in fetch(local, "s3://shop/f", tmp_path / "1")] == ["s3://shop/f"]
    assert [file.name for file in fetch(local, "s3://shop/f_", tmp_path / "2")] == ["s3://shop/f_test/a.csv"]
    folder = fetch(local, "s3://shop/g/", tmp_path / "3")
    assert [file.name for file in folder] == ["s3://shop/g/a.csv", "s3://shop/g/b.csv"]
    assert [file.path.read_bytes() for file in folder] == [CSV, CSV]


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("s3://no-such-bucket/x.csv", "Bucket 'no-such-bucket' does not exist"),
        ("s3://shop/nothing.csv", "No object lies at"),
        ("s3://shop/nothing/", "No object lies at"),
    ],
)
def test_a_missing_bucket_or_key_is_an_invalid_data_location(
    s3: Any, local: Settings, tmp_path: Path, location: str, words: str
) -> None:
    with pytest.raises(ImportRefused, match=r"^Invalid Data location\.") as refused:
        fetch(local, location, tmp_path / "work")
    assert words in str(refused.value) and location in str(refused.value)


def test_without_credentials_it_says_what_to_set(
    s3: Any, local: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(ImportRefused, match=r"^Insufficient privileges for accessing data in Amazon S3\.") as refused:
        fetch(local, "s3://shop/x.csv", tmp_path / "work")
    assert "AWS_ACCESS_KEY_ID" in str(refused.value)


def test_denied_access_names_the_key_and_the_rights_it_needs(grumpy: Any, local: Settings, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match=r"^Insufficient privileges for accessing data in Amazon S3\.") as refused:
        fetch(local, "s3://shop/x.csv", tmp_path / "work")
    for word in ("AKIATEST", "s3:GetObject", "AccessDenied", "s3://shop/x.csv"):
        assert word in str(refused.value)


def test_a_busy_store_is_worth_another_try(
    grumpy: Any, local: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grumpy.status, grumpy.code = 501, "NotImplemented"
    with pytest.raises(SourceUnreachable, match="NotImplemented"):
        fetch(local, "s3://shop/folder/", tmp_path / "work")


def test_a_store_that_is_away_is_worth_another_try(
    local: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(SourceUnreachable, match=r"127\.0\.0\.1:1 did not answer for s3://shop/x\.csv"):
        fetch(local, "s3://shop/x.csv", tmp_path / "work")
