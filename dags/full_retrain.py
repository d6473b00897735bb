"""Retrain every solution on the default schedule, weekly. What is due, and how, is in pipelines/schedules."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task, task_group
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from pipelines import dag_support as support

DOC = """
### Retrain from all data, once a week

Every solution with automatic training on gets a new version from all data of its group, unless it has a rate of its
own (`autoTrainingConfig.schedulingExpression`; DAG `automatic_training`, which makes first versions too), its last
training began less than half a week ago, or no interactions have come since. `due` logs why each is trained or not.

To retrain now, *Trigger*: name the solutions, tick `force`.

| task | what it does | when it fails |
|---|---|---|
| `due` | asks which solutions are due at the time that the run is for | an ARN in the form is wrong |
| `retrain[NAME].create` | makes the version and asks for its run of DAG `solution_version`; skipped when another run was faster | the log says what CreateSolutionVersion refuses |
| `retrain[NAME].follow` | looks every few seconds, later minutes, whether the version has ended; takes no worker in between | the error is the version's `failureReason`; mend that, then *Trigger* for this solution, or *Clear* the version's own run and then this task |

A solution that fails holds up no other. Different solutions are trained side by side as far as pool `memory` allows;
two versions of one solution queue. A week that was missed is not made up for: one run, for the last time it was due.
"""


def report_failure(context: Any) -> None:
    """The version has its own failureReason: this is for who looks here."""
    support.log.error("%s failed: %s", context["ti"].task_id, support.reason(context))


@dag(
    dag_id="full_retrain",
    description="Weekly: a new version, from all data, of every solution on the default schedule",
    doc_md=DOC,
    schedule="@weekly",
    catchup=False,
    max_active_runs=16,
    dagrun_timeout=timedelta(days=7),
    tags=["openpersonalize", "training", "schedule"],
    default_args={
        **support.DEFAULT_ARGS,
        # An hour in which the database cannot be reached costs nobody a week.
        "retries": 12,
        "retry_delay": timedelta(minutes=5),
        "execution_timeout": timedelta(minutes=10),
        "pool": support.SCHEDULES_POOL,
        "on_failure_callback": report_failure,
    },
    params={
        "solution_arns": Param(
            None,
            type=["null", "array"],
            items={"type": "string", "pattern": "^arn:.+:solution/[^/]+$"},
            title="Solutions",
            description="ARNs, one a line. Left empty: every solution with automatic training on.",
        ),
        "force": Param(
            False,
            type="boolean",
            title="Retrain now",
            description="Also what is not due or has no new data; of solutions named above, also without automatic training.",
        ),
    },
)
def full_retrain() -> None:
    """due -> a group a solution: create -> follow."""

    @task
    def due() -> list[Any]:
        from pipelines.aws.errors import AwsError
        from pipelines.schedules.retraining import look
        from pipelines.settings import Settings

        with support.no_retry(AirflowFailException, AwsError):
            return list(look(Settings.from_env(), support.retraining_run(get_current_context())))

    @task(map_index_template=support.NAME_OF_SOLUTION)
    def create(solution: Any) -> str:
        from pipelines.aws.errors import AwsError
        from pipelines.schedules.retraining import create
        from pipelines.settings import Settings

        with support.no_retry(AirflowFailException, AwsError):
            version_id = create(Settings.from_env(), support.retraining_run(get_current_context()), solution["arn"])
        if version_id is None:
            raise AirflowSkipException(f"{solution['name']} is no longer due.")
        return version_id

    @task.sensor(map_index_template=support.NAME_OF_SOLUTION, **support.WAITING)
    def follow(version_id: Any, solution: Any) -> bool:
        from pipelines.schedules.retraining import TrainingFailed, ended
        from pipelines.settings import Settings

        support.log.info("solution %s, version %s", solution["name"], version_id)
        with support.no_retry(AirflowFailException, TrainingFailed):
            return ended(Settings.from_env(), version_id)

    @task_group
    def retrain(solution: Any) -> None:
        follow(version_id=create(solution=solution), solution=solution)

    retrain.expand(solution=due())


full_retrain()
