"""Filters: which items an answer may have. The language is in pipelines/filters.

A filter is what its expression said of the group's datasets when it was created, and stays that: columns are only ever
added to a dataset, and the types of those that the filter reads are kept with it. Deleting a dataset is not held up by
filters that read it, and does not end them: a version answers from what it was trained on, the columns of the deleted
dataset included, as it goes on to recommend its items. A version that is trained afterwards lacks them, and says so to
a request with the filter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pipelines.aws.errors import LimitExceeded
from pipelines.control import batch_jobs, lookup, views
from pipelines.control.context import Context, Given
from pipelines.control.creation import create, members
from pipelines.control.datasets import fields
from pipelines.filters.checking import check, columns
from pipelines.filters.parsing import parse
from pipelines.quotas import FIELDS_PER_FILTER, FILTER_FIELDS_PER_GROUP, Quota
from pipelines.registry import store
from pipelines.registry.store import Resource

COLUMNS = "columns"
"""Member of a filter's `internal`: by dataset type the columns that it reads, and their types."""

describe = views.describing("Filter")
list_all = views.listing("Filter", "Filters", within="DatasetGroup")


def create_filter(context: Context, given: Given) -> Given:
    """ACTIVE at once. Raises InvalidInput, which points at what is wrong, LimitExceeded, ResourceNotFound."""
    group = lookup.lock_active(context, "DatasetGroup", given["datasetGroupArn"])
    text = given["filterExpression"]
    used = columns(check(text, parse(text), fields(context, group)))
    _check_fields(context, group, used)
    made = create(
        context,
        "Filter",
        given,
        group=group,
        doc={**members(given, "filterExpression"), "datasetGroupArn": group.arn},
        internal={COLUMNS: used},
    )
    return {"filterArn": made.arn}


def _check_fields(context: Context, group: Resource, used: Mapping[str, Mapping[str, str]]) -> None:
    """Raise LimitExceeded when the filter, or all filters of the group with it, read more columns than may be."""
    asked = _pairs(used)
    there = [one for one in store.in_group(context.conn, group.id, "Filter") if not one.is_deleting]
    _check_quota(context, FIELDS_PER_FILTER, len(asked), "One filter")
    of_all = asked.union(*(_pairs(one.internal[COLUMNS]) for one in there))
    _check_quota(context, FILTER_FIELDS_PER_GROUP, len(of_all), "All filters of the dataset group with this one")


def _pairs(used: Mapping[str, Mapping[str, str]]) -> set[tuple[str, str]]:
    return {(dataset, column) for dataset, of_dataset in used.items() for column in of_dataset}


def _check_quota(context: Context, quota: Quota, fields: int, what: str) -> None:
    most = context.settings.quotas.most(quota)
    if most is not None and fields > most:
        raise LimitExceeded(
            f"Could not create filter. {what} would use {fields} distinct fields; at most {most} are allowed. "
            f"The quota is {quota.name} of OPENPERSONALIZE_QUOTAS."
        )


def _blockers(context: Context, filter: Resource) -> Iterable[Resource]:
    """Batch jobs that use it."""
    return (job for job in batch_jobs.unfinished(context, filter.group_id) if job.doc.get("filterArn") == filter.arn)


delete = views.deleting("Filter", _blockers)
