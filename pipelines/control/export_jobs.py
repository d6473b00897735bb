"""Dataset export jobs: checked here as far as it can be known at once; DAG `dataset_export` does the work."""

from __future__ import annotations

from pipelines.control import lookup, views
from pipelines.control.by_hand import ROLE, in_run
from pipelines.control.context import Context, Given
from pipelines.control.creation import create, members
from pipelines.control.locations import check_destination
from pipelines.datasets.streamed import newest
from pipelines.registry import store, wishes
from pipelines.registry.store import Resource

DAG_ID = "dataset_export"

describe = views.describing("DatasetExportJob")
list_all = views.listing("DatasetExportJob", "datasetExportJobs", within="Dataset")


def create_dataset_export_job(context: Context, given: Given) -> Given:
    """Raises InvalidInput, ResourceNotFound, ResourceInUse unless the dataset is ACTIVE."""
    job = _create(context, given)
    wishes.wish(context.conn, job, DAG_ID)
    return {"datasetExportJobArn": job.arn}


def _create(context: Context, given: Given) -> Resource:
    dataset = lookup.lock_active(context, "Dataset", given["datasetArn"])
    check_destination(context.settings, given["jobOutput"]["s3DataDestination"])
    return create(
        context,
        "DatasetExportJob",
        given,
        status=store.CREATE_PENDING,
        group=lookup.group_of(context, dataset),
        parent=dataset,
        doc={
            **members(given, "jobOutput", "roleArn"),
            "datasetArn": dataset.arn,
            "ingestionMode": given.get("ingestionMode", "PUT"),
        },
        # What comes later is not in it, however long the job waits.
        internal={
            "snapshot": dataset.internal.get("snapshot", {}).get("tag"),
            "cutoff": newest(context.conn, dataset),
        },
    )


create_in_run = in_run("CreateDatasetExportJob", _create, DAG_ID, roleArn=ROLE)
