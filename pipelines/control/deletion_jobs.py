"""Data deletion jobs: users leave a dataset group; DAG `data_deletion` does the work."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Connection

from pipelines.control import lookup, views
from pipelines.control.by_hand import made_in_run
from pipelines.control.context import Context, Given
from pipelines.control.creation import check_limit, create, members
from pipelines.control.import_jobs import check_location
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.settings import Settings

DAG_ID = "data_deletion"
MAX_UNFINISHED = 5
"""In one dataset group."""
ROLE_BY_HAND = "arn:aws:iam::000000000000:role/not-assumed"
"""Of a job that a person starts in Airflow: AWS's model wants one, and nobody takes it on here."""

describe = views.describing("DataDeletionJob")
list_all = views.listing("DataDeletionJob", "dataDeletionJobs", within="DatasetGroup")


def create_data_deletion_job(context: Context, given: Given) -> Given:
    """Raises InvalidInput, ResourceNotFound, ResourceInUse unless the group is ACTIVE, LimitExceeded above five."""
    job = _create(context, given)
    store.wish(context.conn, job, DAG_ID)
    return {"dataDeletionJobArn": job.arn}


def create_in_run(
    settings: Settings, conn: Connection, request: dict[str, Any], run_id: str, request_id: str | None
) -> str:
    """The id of the job that a DAG run, started by hand in Airflow, does; a retry of the run gets the same.

    The job is named after the run.
    """
    job_name = re.sub(r"[^A-Za-z0-9_-]", "-", run_id).lstrip("-_")[:63]
    return made_in_run(
        settings,
        conn,
        "CreateDataDeletionJob",
        _create,
        {"jobName": job_name, "roleArn": ROLE_BY_HAND, **request},
        dag_id=DAG_ID,
        run_id=run_id,
        request_id=request_id,
    )


def _create(context: Context, given: Given) -> Resource:
    group = lookup.lock_active(context, "DatasetGroup", given["datasetGroupArn"])
    check_location(given["dataSource"].get("dataLocation"), context.settings)
    job = create(
        context,
        "DataDeletionJob",
        given,
        status=store.PENDING,
        group=group,
        doc={**members(given, "dataSource", "roleArn"), "datasetGroupArn": group.arn},
    )
    check_limit(context, "DataDeletionJob", MAX_UNFINISHED, group)
    return job
