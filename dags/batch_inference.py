"""Answer every line of a folder's files from a solution version. The work itself is in pipelines/batch."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow import sdk
from airflow.sdk import dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from pipelines import dag_batch as batch
from pipelines import dag_support as support

DOC = """
### Recommendations for every line of a file

Started by `CreateBatchInferenceJob`, or here by hand: *Trigger*, and give `solution_version_arn`, `input_path` and
`output_path`; a new batch inference job is created and this run does it.

| task | what it does | when it fails |
|---|---|---|
| `create` | the batch inference job, of a run that was started by hand | the form or what it names is wrong |
| `infer` | fetches the files, answers every line as a campaign of the version would, and puts `<file name>.out` of each into the output folder | the reason names the file or the place and the rule; a line that cannot be answered fails nothing, it says why in the output |

A line is `{"userId": "1"}`, `{"itemId": "1"}` or `{"userId": "1", "itemList": ["2", "3"]}`, as the version's recipe needs it. A
run that is killed goes on where it was, and the files are those of an undisturbed one. In a local folder they appear when
all are whole.
"""


report_failure = support.failure_callback(batch.fail, support.resource_id("create"))


@dag(
    dag_id="batch_inference",
    description="Recommendations for every line of a file",
    doc_md=DOC,
    schedule=None,
    catchup=False,
    max_active_runs=16,
    dagrun_timeout=timedelta(days=2),
    deadline=support.deadline(sdk, hours=12),
    tags=["openpersonalize", "serving"],
    default_args={**support.DEFAULT_ARGS, "on_failure_callback": report_failure},
    params=batch.form(
        sdk,
        "batch inference job",
        500,
        "Items of a line",
        "How many are recommended for each; a ranking has all that its line lists.",
    ),
)
def batch_inference() -> None:
    """create -> infer."""

    @task(execution_timeout=timedelta(minutes=5))
    def create() -> str:
        context = get_current_context()
        return support.about(context, AirflowFailException, "CreateBatchInferenceJob", batch.NEEDED, batch.request)

    @task(pool=support.POOL, pool_slots=1, execution_timeout=timedelta(days=1))
    def infer(job_id: str) -> None:
        from pipelines.batch.inference import infer
        from pipelines.batch.job import REFUSED
        from pipelines.disk import DiskFull
        from pipelines.settings import Settings

        support.announce(get_current_context()["dag_run"].conf)
        with support.no_retry(AirflowFailException, *REFUSED, DiskFull):
            infer(Settings.from_env(), job_id)

    job_id: Any = create()
    infer(job_id)


batch_inference()
