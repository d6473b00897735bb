"""Batch segment jobs: users for every item or attribute of a file. They end CREATE FAILED until a recipe makes segments."""

from __future__ import annotations

from pipelines.control import views
from pipelines.control.batch_jobs import create_job, version_of
from pipelines.control.context import Context, Given
from pipelines.recipes.catalogue import USER_SEGMENTATION
from pipelines.registry import wishes

MOST_USERS = 5_000_000
"""AWS's, of each segment."""

describe = views.describing("BatchSegmentJob")
list_all = views.listing("BatchSegmentJob", "batchSegmentJobs", within="SolutionVersion")


def create_batch_segment_job(context: Context, given: Given) -> Given:
    """Raises InvalidInput, ResourceNotFound, ResourceInUse unless version and filter are ACTIVE."""
    version, _ = version_of(context, given, (USER_SEGMENTATION,), "CreateBatchInferenceJob is for other types.")
    job = create_job(context, "BatchSegmentJob", given, version, MOST_USERS)
    wishes.wake_reconciler(context.conn)
    return {"batchSegmentJobArn": job.arn}
