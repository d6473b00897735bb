"""Export a dataset's rows as CSV files. The work itself is in pipelines/datasets."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow import sdk
from airflow.sdk import Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from pipelines import dag_support as support

DOC = """
### Export a dataset to CSV files

Started by `CreateDatasetExportJob`, or here by hand: *Trigger*, and give `dataset_arn` and `path`; a new export job is created
and this run does it.

| task | what it does | when it fails |
|---|---|---|
| `create` | the export job, of a run that was started by hand | the form or what it names is wrong |
| `export` | joins imported and streamed rows as `ingestion_mode` says, writes them as `<job name>-00001.csv`, ... of a gigabyte each, and puts each there | the reason names the bucket, the right that is missing and what the store answered |

The rows are those of the moment in which the job was created. Files that a failed run has already put to S3 stay; a
retry writes the same names again. In a local folder the files appear when all are whole.
"""


def _fail(settings: Any, job_id: str, reason: str) -> None:
    from pipelines.datasets.exporting import fail

    fail(settings, job_id, reason)


def request(form: Any) -> support.Request:
    """Of CreateDatasetExportJob."""
    return {
        "datasetArn": form["dataset_arn"],
        "jobOutput": {"s3DataDestination": {"path": form["path"]}},
        "ingestionMode": form["ingestion_mode"],
    }


report_failure = support.failure_callback(_fail, support.resource_id("create"))


@dag(
    dag_id="dataset_export",
    description="Write a dataset's imported and streamed rows as CSV files",
    doc_md=DOC,
    schedule=None,
    catchup=False,
    max_active_runs=16,
    dagrun_timeout=timedelta(days=1),
    deadline=support.deadline(sdk, hours=12),
    tags=["openpersonalize", "data"],
    default_args={**support.DEFAULT_ARGS, "on_failure_callback": report_failure},
    params={
        "dataset_arn": support.left_empty(
            sdk, "^arn:.+:dataset/[^/]+/[A-Z_]+$", "Dataset ARN", "Started by hand: the dataset to export."
        ),
        "path": support.left_empty(
            sdk,
            support.PLACE,
            "Folder that the files go to",
            "s3://bucket/folder/ or file:///folder/ below an allowed root.",
        ),
        "ingestion_mode": Param(
            "ALL",
            type="string",
            enum=["BULK", "PUT", "ALL"],
            title="Which rows",
            description="BULK: what was imported. PUT: what was streamed. ALL: both, joined.",
        ),
        **support.set_by_api(sdk, "export job"),
    },
)
def dataset_export() -> None:
    """create -> export."""

    @task(execution_timeout=timedelta(minutes=5))
    def create() -> str:
        needed = ("dataset_arn", "path")
        return support.about(get_current_context(), AirflowFailException, "CreateDatasetExportJob", needed, request)

    @task(pool=support.POOL, pool_slots=1, execution_timeout=timedelta(hours=12))
    def export(job_id: str) -> None:
        from pipelines.datasets.errors import ExportRefused
        from pipelines.datasets.exporting import export
        from pipelines.disk import DiskFull
        from pipelines.settings import Settings

        support.announce(get_current_context()["dag_run"].conf)
        with support.no_retry(AirflowFailException, ExportRefused, DiskFull):
            export(Settings.from_env(), job_id)

    job_id: Any = create()
    export(job_id)


dataset_export()
