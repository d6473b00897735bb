"""A folder or a prefix in a bucket that DVC's objects lie in, as DVC lays them out."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from pipelines.repository import remote
from pipelines.repository.errors import RepositoryError

OBJECTS = "files/md5"
AT_ONCE = 1_000
"""Keys of one DeleteObjects, by S3's rule."""


class Place(Protocol):
    """Where objects, by the names that their digests are, and a few files lie. Each call raises RepositoryError."""

    url: str

    def objects(self) -> set[str]:
        """The digests of all that is there, `.dir` behind those of directories."""

    def object(self, digest: str, scratch: Path) -> Path | None:
        """A file with its bytes, which stays as it is; `scratch` is a folder for it. None: it is not there."""

    def put_object(self, source: Path, digest: str) -> None:
        """There whole or not at all."""

    def remove_objects(self, digests: Sequence[str]) -> None:
        """They are gone; any that is not there is fine."""

    def file(self, name: str, scratch: Path) -> Path | None:
        """As `object`, of a file beside them."""

    def put(self, source: Path, name: str) -> None:
        """As `put_object`, in place of what was there."""


def place(url: str) -> Place:
    """Raises RepositoryError for a URL that is neither a folder's path nor s3://."""
    if url.startswith("s3://"):
        return Bucket(url)
    if "://" in url:
        raise RepositoryError(f"{url}: a folder, or s3://bucket/prefix, is needed")
    return Folder(url)


def _path(digest: str) -> str:
    return f"{OBJECTS}/{digest[:2]}/{digest[2:]}"


class Folder:
    """On a disk."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._root = Path(url).absolute()

    def objects(self) -> set[str]:
        found = (self._root / OBJECTS).glob("??/*")
        return {path.parent.name + path.name for path in found if not path.name.startswith(".")}

    def object(self, digest: str, scratch: Path) -> Path | None:
        return self.file(_path(digest), scratch)

    def put_object(self, source: Path, digest: str) -> None:
        self.put(source, _path(digest))

    def remove_objects(self, digests: Sequence[str]) -> None:
        for digest in digests:
            (self._root / _path(digest)).unlink(missing_ok=True)

    def file(self, name: str, scratch: Path) -> Path | None:  # noqa: ARG002  # it lies where it can be read
        path = self._root / name
        return path if path.is_file() else None

    def put(self, source: Path, name: str) -> None:
        target = self._root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}-{uuid.uuid4().hex[:8]}")
        shutil.copyfile(source, part)
        part.replace(target)


class Bucket:
    """A prefix in S3, or in what AWS_ENDPOINT_URL_S3 leads to."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.url, self._bucket, self._prefix = url, parts.netloc, parts.path.strip("/")

    def objects(self) -> set[str]:
        below = f"{self._prefix}/{OBJECTS}/".lstrip("/")
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=below)
        with self._said():
            return {
                entry["Key"].removeprefix(below).replace("/", "")
                for page in pages
                for entry in page.get("Contents", ())
            }

    def object(self, digest: str, scratch: Path) -> Path | None:
        return self.file(_path(digest), scratch)

    def put_object(self, source: Path, digest: str) -> None:
        self.put(source, _path(digest))

    def remove_objects(self, digests: Sequence[str]) -> None:
        with self._said():
            for first in range(0, len(digests), AT_ONCE):
                keys = [{"Key": self._key(_path(digest))} for digest in digests[first : first + AT_ONCE]]
                self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": keys, "Quiet": True})

    def file(self, name: str, scratch: Path) -> Path | None:
        from botocore.exceptions import ClientError

        path = scratch / "fetched"
        path.unlink(missing_ok=True)
        with self._said():
            try:
                self._client.download_file(self._bucket, self._key(name), str(path))
            except ClientError as error:
                if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
                    return None
                raise
        return path

    def put(self, source: Path, name: str) -> None:
        with self._said():
            self._client.upload_file(str(source), self._bucket, self._key(name))

    @contextmanager
    def _said(self) -> Iterator[None]:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (Boto3Error, BotoCoreError, ClientError) as error:
            raise RepositoryError(f"{self.url}: {error}") from error

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}".lstrip("/")

    @cached_property
    def _client(self) -> Any:
        import boto3

        return boto3.client("s3", endpoint_url=remote.endpoint(self.url))
