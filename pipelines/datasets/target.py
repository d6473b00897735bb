"""Where an export's files go: `s3://` through boto3, or a folder of the server's own, `file://` below an import root.

The location is a folder, with or without a slash at its end. A file that has the same name is replaced. In a local
folder the files appear when all of them are whole; in S3 each appears whole, and the job's state says when all have.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import unquote, urlsplit

from pipelines.datasets.errors import ExportRefused
from pipelines.disk import require_disk
from pipelines.progress import Progress
from pipelines.settings import Settings

_S3 = re.compile(r"s3://([A-Za-z0-9][A-Za-z0-9._-]*)(?:/(.*))?", re.DOTALL)


class Target(Protocol):
    """A place that takes files; a context, whose end without an error makes them all visible."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def put(self, path: Path) -> None:
        """Take a whole file under its own name; it is gone from `path` afterwards."""


def find_target(settings: Settings, location: str, kms_key: str | None = None) -> Target:
    """The place that `location` names, which is not touched yet; raises ExportRefused."""
    if location.startswith("file://"):
        if kms_key is not None:
            raise ExportRefused("kmsKeyArn is for s3:// only: nothing encrypts files in a folder of the server")
        return LocalFolder(_local(settings, location))
    found = _S3.fullmatch(location)
    if found is None:
        raise ExportRefused(f"Invalid Data location. {location!r} must be s3://bucket/folder/ or file:///folder/")
    folder = (found[2] or "").rstrip("/")
    return S3Folder(settings.region, found[1], f"{folder}/" if folder else "", kms_key)


@dataclass(frozen=True)
class S3Folder:
    """Keys that begin with `prefix`; with `kms_key` the store is asked to encrypt the objects with that key (SSE-KMS)."""

    region: str
    bucket: str
    prefix: str
    kms_key: str | None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What was uploaded stays: a retry replaces it."""

    def put(self, path: Path) -> None:
        """Raises ExportRefused, or SourceUnreachable when trying again may help."""
        from pipelines.datasets.s3 import S3Store

        with Progress(f"bytes to s3://{self.bucket}/{self.prefix}{path.name}", path.stat().st_size) as progress:
            S3Store(self.region).upload(path, self.bucket, f"{self.prefix}{path.name}", progress.advance, self.kms_key)
        path.unlink()


@dataclass
class LocalFolder:
    """A folder on this machine, made when the first file comes."""

    folder: Path
    _waiting: list[tuple[Path, Path]] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for partial, path in self._waiting:
            if error is None:
                partial.replace(path)
            else:
                partial.unlink(missing_ok=True)

    def put(self, path: Path) -> None:
        """Raises ExportRefused when the server may not write there, DiskFull."""
        partial = self.folder / f".{path.name}.part"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            require_disk(self.folder, path.stat().st_size)
            self._waiting.append((partial, self.folder / path.name))
            shutil.move(path, partial)
        except (PermissionError, FileExistsError, NotADirectoryError) as error:
            raise ExportRefused(
                f"Invalid Data location. The server may not write into {self.folder}: {error.strerror}"
            ) from None


def _local(settings: Settings, location: str) -> Path:
    """The folder without symlinks and `..`; refused unless it lies below a root, and inside the home only in its data."""
    try:
        parts = urlsplit(location)
        path = Path(os.path.realpath(unquote(parts.path)))
    except ValueError as error:  # an unclosed [ in the host, %00 in the path
        raise ExportRefused(f"Invalid Data location. {location!r} is not a file URL: {error}") from None
    home, data = settings.home.resolve(), (settings.home / "data").resolve()
    inside_home = path.is_relative_to(home) and not path.is_relative_to(data)
    below_root = any(path.is_relative_to(root.resolve()) for root in settings.import_roots)
    if parts.netloc not in ("", "localhost") or inside_home or not below_root:
        allowed = ", ".join(map(str, settings.import_roots)) or "none is set"
        raise ExportRefused(
            f"Invalid Data location. {location!r} leads outside the folders that file:// exports may write to "
            f"(OPENPERSONALIZE_IMPORT_ROOTS: {allowed})"
        )
    if path.exists() and not path.is_dir():
        raise ExportRefused(f"Invalid Data location. {path} is a file on the server; an export needs a folder")
    return path
