"""Answer every line of a folder's files from a solution version. The work itself is in pipelines/batch."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow import sdk
from airflow.sdk import Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

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


def _fail(settings: Any, job_id: str, reason: str) -> None:
    from pipelines.batch.job import fail

    fail(settings, job_id, reason)


report_failure = support.failure_callback(_fail, support.resource_id("create"))


def _place(title: str, description: str) -> Param:
    text: dict[str, Any] = {"type": ["null", "string"], "pattern": "^(s3|file)://.+"}
    return Param(None, **text, title=title, description=description)


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
    params={
        "solution_version_arn": Param(
            None,
            type=["null", "string"],
            pattern="^arn:.+:solution/[^/]+/[0-9a-f]{8}$",
            title="Solution version ARN",
            description="Started by hand: the version that answers.",
        ),
        "input_path": _place("File or folder of questions", "s3://bucket/folder/ or file:///folder/, JSON Lines."),
        "output_path": _place("Folder that the answers go to", "Another than that of the questions."),
        "num_results": Param(
            25,
            type="integer",
            minimum=1,
            maximum=500,
            title="Items of a line",
            description="How many are recommended for each; a ranking has all that its line lists.",
        ),
        **support.set_by_api(sdk, "batch inference job"),
    },
)
def batch_inference() -> None:
    """create -> infer."""

    @task(execution_timeout=timedelta(minutes=5))
    def create() -> str:
        from pipelines.aws.errors import AwsError

        context = get_current_context()
        params: Any = context["params"]
        support.announce(context["dag_run"].conf)
        if params["resource_id"] is not None:
            return str(params["resource_id"])
        with support.no_retry(AirflowFailException, AwsError, ValueError):
            if None in (params["solution_version_arn"], params["input_path"], params["output_path"]):
                raise ValueError("Give solution_version_arn, input_path and output_path.")
            request = {
                "solutionVersionArn": params["solution_version_arn"],
                "jobInput": {"s3DataSource": {"path": params["input_path"]}},
                "jobOutput": {"s3DataDestination": {"path": params["output_path"]}},
                "numResults": params["num_results"],
            }
            return support.made_for_run(context, "CreateBatchInferenceJob", request)

    @task(pool=support.POOL, pool_slots=1, execution_timeout=timedelta(days=1))
    def infer(job_id: str) -> None:
        from pipelines.batch.job import REFUSED, infer
        from pipelines.disk import DiskFull
        from pipelines.settings import Settings

        support.announce(get_current_context()["dag_run"].conf)
        with support.no_retry(AirflowFailException, *REFUSED, DiskFull):
            infer(Settings.from_env(), job_id)

    job_id: Any = create()
    infer(job_id)


batch_inference()
