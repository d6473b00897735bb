"""Import bulk data into a dataset. The work itself is in pipelines/datasets."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from airflow import sdk
from airflow.sdk import BaseOperatorLink, Param, dag, get_current_context, task
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException

from pipelines import dag_lineage as lineage
from pipelines import dag_support as support

DOC = """
### Import a file or folder into a dataset

Started by `CreateDatasetImportJob`, or here by hand: *Trigger*, and give `dataset_arn` and `data_location`; a new import
job is created and this run does it.

| task | what it does | when it fails |
|---|---|---|
| `load` | fetches the files, reads them by the schema, puts every bad row into `rejects.parquet`, writes the next snapshot | the reason names file and line, or what S3 refused; mend that |
| `check` | Great Expectations judges the profile of what came in; `report.html` | the report says which rule is broken, with examples |
| `commit` | the snapshot into the group's repository (tag `data/<dataset>/<job>`), the attribution report if one is asked for, dataset and job ACTIVE | the reason names the step of Git or DVC that failed, or why the report cannot be written |

Link *Import report* of a task shows the report; so does `openpersonalize report <job>`. Report and rejects lie under
`imports/<job id>/` in the platform's home. What trying again can mend is tried three times.
A run that failed leaves the job in CREATE FAILED with the reason in `failureReason`, and the data that was there before
stays. A job that has ended cannot go on: *Clear* does nothing to it, so start a new import.
"""


def _fail(settings: Any, job_id: str, reason: str) -> None:
    from pipelines.datasets.importing import fail

    fail(settings, job_id, reason)


def request(form: Any) -> support.Request:
    """Of CreateDatasetImportJob."""
    return {
        "datasetArn": form["dataset_arn"],
        "dataSource": {"dataLocation": form["data_location"]},
        "importMode": form["import_mode"],
    }


job_of = support.resource_id("load")
report_failure = support.failure_callback(_fail, job_of)


class ImportReport(BaseOperatorLink):
    """The task's link to the report (plugins/control_plane/reports.py); the log's last line names it too."""

    name = "Import report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002
        """Empty as long as there is no import job; `ti_key` is the task instance that just ended."""
        job_id = job_of(ti_key.get_template_context())
        url = f"{conf.get('api', 'base_url').rstrip('/')}/personalize/imports/{job_id}/report" if job_id else ""
        logging.getLogger("openpersonalize").info("report: %s", url or "none, as there is no import job")
        return url


@dag(
    dag_id="dataset_import",
    description="Fetch, check and take in bulk data: CSV into an immutable snapshot",
    doc_md=DOC,
    schedule=None,
    catchup=False,
    max_active_runs=16,
    dagrun_timeout=timedelta(days=2),
    deadline=support.deadline(sdk, hours=12),
    tags=["openpersonalize", "data"],
    default_args={**support.DEFAULT_ARGS, "on_failure_callback": report_failure},
    params={
        "dataset_arn": support.left_empty(
            sdk, "^arn:.+:dataset/[^/]+/[A-Z_]+$", "Dataset ARN", "Started by hand: the dataset to import into."
        ),
        "data_location": support.left_empty(
            sdk,
            support.PLACE,
            "Where the data lies",
            "s3://bucket/file.csv, s3://bucket/folder/ or file:///folder/ below an allowed root.",
        ),
        "import_mode": Param(
            "FULL",
            type="string",
            enum=["FULL", "INCREMENTAL"],
            title="Import mode",
            description="FULL replaces all bulk data of the dataset; INCREMENTAL adds to it.",
        ),
        **support.set_by_api(sdk, "import job"),
    },
)
def dataset_import() -> None:
    """load -> check -> commit."""

    @task(pool=support.POOL, pool_slots=1, execution_timeout=timedelta(days=1))
    def load() -> str:
        from pipelines.datasets.errors import ImportRefused
        from pipelines.datasets.importing import load
        from pipelines.disk import DiskFull
        from pipelines.settings import Settings

        context, needed = get_current_context(), ("dataset_arn", "data_location")
        job_id = support.about(context, AirflowFailException, "CreateDatasetImportJob", needed, request)
        with support.no_retry(AirflowFailException, ImportRefused, DiskFull):
            load(Settings.from_env(), job_id)
        return job_id

    @task(pool=support.POOL, pool_slots=1, execution_timeout=timedelta(hours=1))
    def check(job_id: str) -> None:
        from pipelines.datasets.errors import ImportRefused
        from pipelines.datasets.importing import check
        from pipelines.settings import Settings

        support.announce(get_current_context()["dag_run"].conf)
        with support.no_retry(AirflowFailException, ImportRefused):
            check(Settings.from_env(), job_id)

    @task(execution_timeout=timedelta(hours=6), outlets=lineage.SNAPSHOTS.outlets(sdk))
    def commit(job_id: str) -> None:
        from pipelines.datasets.errors import ImportRefused
        from pipelines.datasets.importing import commit
        from pipelines.settings import Settings

        context, settings = get_current_context(), Settings.from_env()
        support.announce(context["dag_run"].conf)
        with support.no_retry(AirflowFailException, ImportRefused):
            commit(settings, job_id)
        lineage.emit(context, sdk, lineage.SNAPSHOTS, lineage.imported(settings, job_id))

    job_id: Any = load()
    checked: Any = check(job_id)
    checked >> commit(job_id)
    for step in (job_id, checked):
        step.operator.operator_extra_links = (ImportReport(),)


dataset_import()
