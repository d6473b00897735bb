"""Compact datasets that many imports went into. The work itself is in pipelines/datasets."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow import sdk
from airflow.sdk import Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from pipelines import dag_support as support

DOC = """
### Make few files of many

Each INCREMENTAL import adds one file to a dataset's snapshot. Once a day this DAG writes those datasets anew that have
gathered more than 16, so that trainings read rows instead of merging files. To compact one at once, *Trigger* and give
`dataset_arn`.

| task | what it does | when it fails |
|---|---|---|
| `compact` | reads the snapshot, writes the same rows as few files under the tag `data/<dataset>/<import>-compacted`, makes it the dataset's | nothing has changed; the log names the step |

Rows, and which of two records of an item counts, stay the same. An import that comes in between wins: the dataset is
then compacted the next day. Older tags stay, as solution versions were trained from them.
"""


report_failure = support.log_failure("no data has changed")


@dag(
    dag_id="dataset_compaction",
    description="Write datasets of many small parts anew as few",
    doc_md=DOC,
    schedule="@daily",
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(days=1),
    deadline=support.deadline(sdk, hours=6),
    tags=["openpersonalize", "data"],
    default_args={**support.DEFAULT_ARGS, "on_failure_callback": report_failure},
    params={
        "dataset_arn": Param(
            None,
            type=["null", "string"],
            pattern="^arn:.+:dataset/[^/]+/[A-Z_]+$",
            title="Dataset ARN",
            description="Left empty: every dataset that needs it.",
        ),
    },
)
def dataset_compaction() -> None:
    """compact."""

    @task(pool=support.POOL, pool_slots=1, execution_timeout=timedelta(hours=12))
    def compact() -> int:
        from pipelines.datasets.compacting import NothingToCompact, compact_due, compact_one
        from pipelines.disk import DiskFull
        from pipelines.settings import Settings

        params: Any = get_current_context()["params"]
        settings = Settings.from_env()
        with support.no_retry(AirflowFailException, NothingToCompact, DiskFull):
            if params["dataset_arn"] is None:
                return compact_due(settings)
            return int(compact_one(settings, params["dataset_arn"]))

    compact()


dataset_compaction()
