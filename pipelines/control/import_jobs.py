"""Dataset import jobs: checked here as far as it can be known at once; DAG `dataset_import` does the work."""

from __future__ import annotations

from pipelines.aws.errors import InvalidInput, ResourceInUse
from pipelines.control import lookup, views
from pipelines.control.by_hand import in_run
from pipelines.control.context import Context, Given
from pipelines.control.creation import create, members
from pipelines.control.locations import check_source
from pipelines.datasets import attribution
from pipelines.datasets.attribution import PUBLISH
from pipelines.datasets.streamed import newest_record
from pipelines.registry import store, wishes
from pipelines.registry.store import Resource

DAG_ID = "dataset_import"

describe = views.describing("DatasetImportJob")
list_all = views.listing("DatasetImportJob", "datasetImportJobs", within="Dataset")


def create_dataset_import_job(context: Context, given: Given) -> Given:
    """Raises ResourceInUse while another import into the dataset is unfinished."""
    job = _create(context, given)
    wishes.wish(context.conn, job, DAG_ID)
    return {"datasetImportJobArn": job.arn}


def _create(context: Context, given: Given) -> Resource:
    dataset = lookup.lock_active(context, "Dataset", given["datasetArn"])
    check_source(context.settings, given["dataSource"].get("dataLocation"))
    if given.get(PUBLISH, False):
        _check_report(context, dataset)
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
        doc={**members(given, "dataSource", "roleArn", PUBLISH), "datasetArn": dataset.arn, "importMode": mode},
        # What was streamed up to now is older than what the files say.
        internal={"after": newest_record(context.conn, dataset.id)},
    )
    _refuse_second(context, dataset, job)
    return job


create_in_run = in_run("CreateDatasetImportJob", _create, DAG_ID)


# Unlike AWS, data: publishAttributionMetricsToS3 is refused where there would be nothing to publish: of other datasets than
# Interactions, and without a metric attribution that names a destination. AWS does not say; here no report stays out unnoticed.
def _check_report(context: Context, dataset: Resource) -> None:
    """Raise InvalidInput unless the import can have an attribution report."""
    if dataset.doc["datasetType"] != "INTERACTIONS":
        raise InvalidInput(f"{PUBLISH}: metric attributions count interactions; {dataset.arn} has none.")
    found = attribution.of_group(context.conn, dataset.group_id or "")
    if found is None:
        raise InvalidInput(f"{PUBLISH}: the dataset group has no metric attribution; create one first.")
    if found.destination is None:
        raise InvalidInput(
            f"{PUBLISH}: {found.resource.arn} does not say where to: update its metricsOutputConfig with an s3DataDestination."
        )


def _refuse_second(context: Context, dataset: Resource, job: Resource) -> None:
    for other in store.children(context.conn, dataset.id, "DatasetImportJob"):
        if other.id != job.id and other.status in store.UNFINISHED:
            raise ResourceInUse(f"{dataset.arn} has an import that is {other.status}: {other.arn}.")
