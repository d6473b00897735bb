"""Where jobs read files and write them, checked as far as it can be known without touching the place."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipelines.aws.errors import InvalidInput
from pipelines.control.context import Given
from pipelines.datasets.errors import ExportRefused
from pipelines.datasets.target import find_target
from pipelines.settings import Settings

# Unlike AWS, access: roleArn is kept and shown, and nobody takes the role on. Jobs read and write S3 with the
# server's own credentials.
_S3 = re.compile(r"s3://[A-Za-z0-9][A-Za-z0-9._-]*(/.*)?", re.DOTALL)


def check_source(
    settings: Settings,
    location: str | None,
    member: str = "dataSource.dataLocation",
    invalid: str = "Invalid Data location. ",
) -> None:
    """Raise InvalidInput unless it is s3://bucket/key or file:// below one of the import roots.

    `invalid` is how AWS begins the message for the `member`.
    """
    if location is None:
        raise InvalidInput(f"{member} is missing.")
    if location.startswith("file://"):
        _check_local(location, settings.import_roots, invalid)
    elif not _S3.fullmatch(location):
        raise InvalidInput(f"{invalid}{member} {location!r} must be s3://bucket/path or file:///path.")


def check_destination(
    settings: Settings, destination: Given, member: str = "jobOutput.s3DataDestination", invalid: str = ""
) -> None:
    """Raise InvalidInput unless the `s3DataDestination` of what is written is a folder that may be written to.

    `invalid` as above.
    """
    try:
        find_target(settings, destination["path"], destination.get("kmsKeyArn"))
    except ExportRefused as refused:
        raise InvalidInput(f"{invalid}{member}: {refused}.") from None


def _check_local(location: str, roots: tuple[Path, ...], invalid: str) -> None:
    try:
        url = urlsplit(location)
        path = Path(os.path.realpath(unquote(url.path)))  # symbolic links and .. lead nowhere else
    except ValueError as failure:  # an unclosed [ in the host, %00 in the path
        raise InvalidInput(f"{invalid}{location!r} is not a file URL: {failure}.") from None
    if url.netloc not in ("", "localhost") or not any(path.is_relative_to(root.resolve()) for root in roots):
        allowed = ", ".join(map(str, roots)) or "none"
        raise InvalidInput(f"{invalid}{location!r} is not below a folder of OPENPERSONALIZE_IMPORT_ROOTS ({allowed}).")
