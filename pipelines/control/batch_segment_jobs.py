"""Batch segment jobs: users for every item or attribute of a file; DAG `batch_segment` does the work."""

from __future__ import annotations

from pipelines.aws.errors import InvalidInput
from pipelines.control import views
from pipelines.control.batch_jobs import check_asked, create_job, filter_of, version_of
from pipelines.control.by_hand import ROLE, in_run
from pipelines.control.context import Context, Given
from pipelines.filters.tree import INTERACTIONS
from pipelines.recipes.catalogue import USER_SEGMENTATION, Recipe
from pipelines.registry import wishes
from pipelines.registry.store import Resource

DAG_ID = "batch_segment"
ATTRIBUTES = "aws-item-attribute-affinity"
MOST_USERS = 5_000_000
"""AWS's, of each segment."""

describe = views.describing("BatchSegmentJob")
list_all = views.listing("BatchSegmentJob", "batchSegmentJobs", within="SolutionVersion")


def create_batch_segment_job(context: Context, given: Given) -> Given:
    """Raises InvalidInput, ResourceNotFound, ResourceInUse unless version and filter are ACTIVE."""
    job = _create(context, given)
    wishes.wish(context.conn, job, DAG_ID)
    return {"batchSegmentJobArn": job.arn}


def _create(context: Context, given: Given) -> Resource:
    version, recipe = version_of(context, given)
    check(given, recipe)
    filter = filter_of(context, given, version, "USERID")
    if filter is not None and recipe.name == ATTRIBUTES and INTERACTIONS in filter.internal["columns"]:
        raise InvalidInput(f"filterArn: the filter is about Interactions, which {ATTRIBUTES} does not take.")
    return create_job(context, "BatchSegmentJob", given, version)


create_in_run = in_run("CreateBatchSegmentJob", _create, DAG_ID, roleArn=ROLE)


def check(given: Given, recipe: Recipe) -> None:
    """Raise InvalidInput for what versions of the recipe cannot be asked for."""
    check_asked(given, recipe, (USER_SEGMENTATION,), "CreateBatchInferenceJob is for other types.", MOST_USERS)
