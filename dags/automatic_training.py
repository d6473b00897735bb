"""First versions, and retraining at a solution's own rate. What is due, and how, is in pipelines/schedules."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task, task_group
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from pipelines import dag_support as support

DOC = """
### First versions, and rates of their own

Every half hour. A solution with automatic training on (the default of CreateSolution) gets its first version within
the hour, unless a client has made one by then; from then on those with
`autoTrainingConfig.schedulingExpression: rate(N days)` are trained at that rate, counted from the start of the
previous training, and the others by DAG `full_retrain`. Nothing is trained without new interactions. `due` logs why
each solution is trained or not; most runs find nothing and end there.

| task | what it does | when it fails |
|---|---|---|
| `due` | asks which solutions are due at the time that the run is for | an ARN in the form is wrong |
| `retrain[NAME].create` | makes the version and asks for its run of DAG `solution_version`; skipped when another run was faster | the log says what CreateSolutionVersion refuses |
| `retrain[NAME].follow` | looks every few seconds, later minutes, whether the version has ended; takes no worker in between | the error is the version's `failureReason`; mend that, then train again by DAG `full_retrain` with `force`. By itself it is tried again when it is due next |

A run that follows a long training does not hold up the next ones. To have automatic training off for one solution:
`UpdateSolution(performAutoTraining=False)`; for all: pause this DAG and `full_retrain`. Nothing is made up for later.
"""


def report_failure(context: Any) -> None:
    """The version has its own failureReason: this is for who looks here."""
    support.log.error("%s failed: %s", context["ti"].task_id, support.reason(context))


@dag(
    dag_id="automatic_training",
    description="Every half hour: first versions, and solutions with a rate of their own",
    doc_md=DOC,
    schedule="*/30 * * * *",
    catchup=False,
    max_active_runs=16,
    dagrun_timeout=timedelta(days=7),
    tags=["openpersonalize", "training", "schedule"],
    default_args={
        **support.DEFAULT_ARGS,
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
            description="Look at these only: ARNs, one a line. Left empty: all.",
        ),
    },
)
def automatic_training() -> None:
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


automatic_training()
