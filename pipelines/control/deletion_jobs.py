"""Data deletion jobs: users leave a dataset group; DAG `data_deletion` does the work."""

from __future__ import annotations

from pipelines.control import lookup, views
from pipelines.control.by_hand import ROLE, in_run
from pipelines.control.context import Context, Given
from pipelines.control.creation import create, members
from pipelines.control.locations import check_source
from pipelines.registry import store, wishes
from pipelines.registry.store import Resource

DAG_ID = "data_deletion"

describe = views.describing("DataDeletionJob")
list_all = views.listing("DataDeletionJob", "dataDeletionJobs", within="DatasetGroup")


def create_data_deletion_job(context: Context, given: Given) -> Given:
    """Raises InvalidInput, ResourceNotFound, ResourceInUse unless the group is ACTIVE."""
    job = _create(context, given)
    wishes.wish(context.conn, job, DAG_ID)
    return {"dataDeletionJobArn": job.arn}


def _create(context: Context, given: Given) -> Resource:
    group = lookup.lock_active(context, "DatasetGroup", given["datasetGroupArn"])
    check_source(context.settings, given["dataSource"].get("dataLocation"))
    return create(
        context,
        "DataDeletionJob",
        given,
        status=store.PENDING,
        group=group,
        doc={**members(given, "dataSource", "roleArn"), "datasetGroupArn": group.arn},
    )


create_in_run = in_run("CreateDataDeletionJob", _create, DAG_ID, roleArn=ROLE)
