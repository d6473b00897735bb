"""Dataset import jobs: checked here as far as it can be known at once; DAG `dataset_import` does the work."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipelines.aws.errors import InvalidInput, ResourceInUse
from pipelines.control import lookup, views
from pipelines.control.by_hand import in_run
from pipelines.control.context import Context, Given
from pipelines.control.creation import create, members
from pipelines.control.unavailable import refuse_unavailable
from pipelines.datasets.streamed import newest_record
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.settings import Settings

DAG_ID = "dataset_import"
_S3 = re.compile(r"s3://[A-Za-z0-9][A-Za-z0-9._-]*(/.*)?", re.DOTALL)

describe = views.describing("DatasetImportJob")
list_all = views.listing("DatasetImportJob", "datasetImportJobs", within="Dataset")


def create_dataset_import_job(context: Context, given: Given) -> Given:
    """Raises ResourceInUse while another import into the dataset is unfinished."""
    job = _create(context, given)
    store.wish(context.conn, job, DAG_ID)
    return {"datasetImportJobArn": job.arn}


def _create(context: Context, given: Given) -> Resource:
    dataset = lookup.lock_active(context, "Dataset", given["datasetArn"])
    check_location(given["dataSource"].get("dataLocation"), context.settings)
    refuse_unavailable(publishAttributionMetricsToS3=given.get("publishAttributionMetricsToS3", False))
    mode = given.get("importMode", "FULL")
    if mode == "INCREMENTAL" and "snapshot" not in dataset.internal:
        raise InvalidInput("importMode: INCREMENTAL needs an earlier import that is ACTIVE; begin with FULL.")
    job = create(
        context,
        "DatasetImportJob",
        given,
        status=store.CREATE_PENDING,
        group=lookup.group_of(context, dataset),
        parent=dataset,
        doc={**members(given, "dataSource", "roleArn"), "datasetArn": dataset.arn, "importMode": mode},
        # What was streamed up to now is older than what the files say.
        internal={"after": newest_record(context.conn, dataset.id)},
    )
    _refuse_second(context, dataset, job)
    return job


create_in_run = in_run("CreateDatasetImportJob", _create, DAG_ID)


def _refuse_second(context: Context, dataset: Resource, job: Resource) -> None:
    for other in store.children(context.conn, dataset.id, "DatasetImportJob"):
        if other.id != job.id and other.status in store.UNFINISHED:
            raise ResourceInUse(f"{dataset.arn} has an import that is {other.status}: {other.arn}.")


def check_location(location: str | None, settings: Settings) -> None:
    """Raise InvalidInput unless it is s3://bucket/key or file:// below one of the import roots."""
    if location is None:
        raise InvalidInput("dataSource.dataLocation is missing.")
    if location.startswith("file://"):
        _check_local(location, settings.import_roots)
    elif not _S3.fullmatch(location):
        raise InvalidInput(
            f"Invalid Data location. dataSource.dataLocation {location!r} must be s3://bucket/path or file:///path."
        )


def _check_local(location: str, roots: tuple[Path, ...]) -> None:
    try:
        url = urlsplit(location)
        path = Path(os.path.realpath(unquote(url.path)))  # symbolic links and .. lead nowhere else
    except ValueError as failure:  # an unclosed [ in the host, %00 in the path
        raise InvalidInput(f"Invalid Data location. {location!r} is not a file URL: {failure}.") from None
    if url.netloc not in ("", "localhost") or not any(path.is_relative_to(root.resolve()) for root in roots):
        allowed = ", ".join(map(str, roots)) or "none"
        raise InvalidInput(
            f"Invalid Data location. {location!r} is not below a folder of OPENPERSONALIZE_IMPORT_ROOTS ({allowed})."
        )
