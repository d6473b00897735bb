"""Where a dataset's data lies: at its location, or at the location's name with `.csv` behind it.

So one word stands for both ways in which the AWS solution lets data lie beside the file: folder `interactions/`, or file
`interactions.csv`.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipelines.control.locations import check_source
from pipelines.datasets.s3 import S3Store
from pipelines.settings import Settings


def find(settings: Settings, location: str) -> str | None:
    """The location that an import job is given, None when nothing lies there yet.

    Raises InvalidInput when the platform may not read there, ImportRefused or SourceUnreachable when S3 says so.
    """
    if location.startswith("file://"):
        path = Path(unquote(urlsplit(location).path))
        there = next((one for one in (path, path.with_name(f"{path.name}.csv")) if one.exists()), None)
        found = there.as_uri() + ("/" if there.is_dir() else "") if there is not None else None
    else:
        found = _in_s3(settings, location)
    if found is not None:
        check_source(settings, found)
    return found


def _in_s3(settings: Settings, location: str) -> str | None:
    """A prefix takes more than a person means by it (`interactions` finds interactions_old.csv): a folder ends in `/`."""
    store = S3Store(settings.region)
    bucket, _, key = location.removeprefix("s3://").partition("/")
    bare = key.rstrip("/")
    for candidate in (f"{bare}/" if bare else "", bare, f"{bare}.csv"):
        if any(entry.key == candidate or candidate.endswith("/") for entry in store.find(bucket, candidate)):
            return f"s3://{bucket}/{candidate}"
    return None
