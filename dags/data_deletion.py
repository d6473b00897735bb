"""Delete users from a dataset group. The work itself is in pipelines/deletions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow import sdk
from airflow.sdk import dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from pipelines import dag_support as support

DOC = """
### Delete users from a dataset group

Started by `CreateDataDeletionJob`, or here by hand: *Trigger*, and give `dataset_group_arn` and `data_location`, a CSV (or
folder of them) with the single column USER_ID; a new data deletion job is created and this run does it.

| task | what it does | when it fails |
|---|---|---|
| `read` | the list of users, strictly, into a private file | the reason names file and line; nothing was deleted |
| `sweep` | the users' rows leave the event log and the current snapshots; comes again while imports or trainings run that had begun before | the reason names what has not ended for a day |
| `clean` | older snapshots and versions that hold them: dropped, or, where a campaign serves them, written anew and swapped in; then Git, cache and remote | a worker of the runtime could not load the new artefact, or the remote refused |
| `finish` | logs, rejects and reports; a search through everything; `report.html` | the reason names the place that still holds one |

The report lies under `deletions/<job id>/` in the platform's home. Users' ids are never logged. What was deleted stays
deleted when a task fails; each can be repeated, and a new job with the same list goes on. Train new versions afterwards.
"""


def _fail(settings: Any, job_id: str, reason: str) -> None:
    from pipelines.deletions import fail

    fail(settings, job_id, reason)


def request(form: Any) -> support.Request:
    """Of CreateDataDeletionJob."""
    return {"datasetGroupArn": form["dataset_group_arn"], "dataSource": {"dataLocation": form["data_location"]}}


report_failure = support.failure_callback(_fail, support.resource_id("read"))


@dag(
    dag_id="data_deletion",
    description="Delete users: events, snapshots, versions and what is served of them, logs, with a proof",
    doc_md=DOC,
    schedule=None,
    catchup=False,
    max_active_runs=16,
    dagrun_timeout=timedelta(days=2),
    deadline=support.deadline(sdk, hours=24),
    tags=["openpersonalize", "data"],
    default_args={**support.DEFAULT_ARGS, "on_failure_callback": report_failure},
    params={
        "dataset_group_arn": support.left_empty(
            sdk,
            "^arn:.+:dataset-group/[^/]+$",
            "Dataset group ARN",
            "Started by hand: the dataset group to delete users from.",
        ),
        "data_location": support.left_empty(
            sdk,
            support.PLACE,
            "Where the list lies",
            "s3://bucket/users.csv, s3://bucket/folder/ or file:///folder/ below an allowed root.",
        ),
        **support.set_by_api(sdk, "data deletion job"),
    },
)
def data_deletion() -> None:
    """read -> sweep -> clean -> finish."""

    @task(execution_timeout=timedelta(hours=1))
    def read() -> str:
        from pipelines.deletions import DeletionRefused, read
        from pipelines.disk import DiskFull
        from pipelines.settings import Settings

        context, needed = get_current_context(), ("dataset_group_arn", "data_location")
        job_id = support.about(context, AirflowFailException, "CreateDataDeletionJob", needed, request)
        with support.no_retry(AirflowFailException, DeletionRefused, DiskFull):
            read(Settings.from_env(), job_id)
        return job_id

    # Between two rounds it holds neither a worker nor memory, which what it waits for needs.
    @task.sensor(
        mode="reschedule",
        poke_interval=15,
        timeout=timedelta(days=2).total_seconds(),
        execution_timeout=timedelta(hours=12),
        pool=support.POOL,
        pool_slots=1,
    )
    def sweep(job_id: str) -> bool:
        from pipelines.deletions import DeletionRefused, sweep
        from pipelines.disk import DiskFull
        from pipelines.settings import Settings

        support.announce(get_current_context()["dag_run"].conf)
        with support.no_retry(AirflowFailException, DeletionRefused, DiskFull):
            return sweep(Settings.from_env(), job_id)

    @task(execution_timeout=timedelta(hours=12))
    def clean(job_id: str) -> None:
        from pipelines.deletions import clean
        from pipelines.settings import Settings

        support.announce(get_current_context()["dag_run"].conf)
        clean(Settings.from_env(), job_id)

    @task(execution_timeout=timedelta(hours=12))
    def finish(job_id: str) -> None:
        from pipelines.deletions import finish
        from pipelines.settings import Settings

        support.announce(get_current_context()["dag_run"].conf)
        finish(Settings.from_env(), job_id)

    job_id: Any = read()
    sweep(job_id) >> clean(job_id) >> finish(job_id)


data_deletion()
