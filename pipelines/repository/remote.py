"""The DVC remote of a group: a folder, or a prefix in a bucket."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from pipelines.settings import Settings

NAME = "storage"


def url(settings: Settings, group_id: str) -> str:
    """Where the group's snapshots and versions are pushed: an absolute path or `s3://bucket/prefix/<group id>`."""
    base = settings.dvc_remote
    if "://" in base:
        return f"{base.rstrip('/')}/{group_id}"
    return str(Path(base).absolute() / group_id)


def endpoint(remote_url: str) -> str | None:
    """The S3 endpoint to use when it is not Amazon's, from AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL."""
    if not remote_url.startswith("s3://"):
        return None
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def delete(remote_url: str) -> None:
    """Remove everything under `remote_url`; nothing there is fine."""
    if not remote_url.startswith("s3://"):
        shutil.rmtree(remote_url, ignore_errors=True)
        return
    import boto3

    parts = urlsplit(remote_url)
    bucket = boto3.resource("s3", endpoint_url=endpoint(remote_url)).Bucket(parts.netloc)
    bucket.objects.filter(Prefix=parts.path.strip("/") + "/").delete()


def config_section(remote_url: str, *, local: bool) -> str:
    """The remote's part of `.dvc/config`, or with `local` of `.dvc/config.local`, which is never committed."""
    lines = [f"['remote \"{NAME}\"']", f"    url = {remote_url}"]
    at = endpoint(remote_url)
    if local and at:
        lines.append(f"    endpointurl = {at}")
    return "\n".join(lines) + "\n"
