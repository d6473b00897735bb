"""A DAG for each schedule that `openpersonalize apply` has declared. What they are, and do, is in pipelines/declared."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, DeltaTriggerTimetable, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from pipelines import dag_support as support
from pipelines.declared.expressions import Timing
from pipelines.declared.schedules import FULL, IMPORT, INFERENCE, SEGMENTS, UPDATE, Schedule, current
from pipelines.settings import Settings

WHAT = {
    IMPORT: ("Import", "Imports into the dataset from its location", "import job", "dataset_import"),
    FULL: ("Train", "Makes a new version of the solution from all data", "version", "solution_version"),
    UPDATE: (
        "Update",
        "Makes a version with new items and impressions, without training",
        "version",
        "solution_version",
    ),
    INFERENCE: (
        "Recommend",
        "Answers the lines of a file from the solution's newest version, each time into a folder of its own",
        "batch inference job",
        "batch_inference",
    ),
    SEGMENTS: (
        "Segment",
        "Finds the users for the lines of a file from the solution's newest version, each time into a folder of its own",
        "batch segment job",
        "batch_segment",
    ),
}
"""By kind of schedule a verb, what it does, what a run makes, and the DAG that does the work."""
DOC = """
### {verb} on schedule: {expression}

{does}: `{arn}`

Declared at {since} in the file of dataset group `{group}`; `openpersonalize export {group}` shows it. To change or end it,
change the file and `openpersonalize apply` it: a schedule that is not in the file is gone within a minute. *Pause* holds
it, *Trigger* runs it now.

| task | what it does | when it fails |
|---|---|---|
| `begin` | makes the {made} and asks for its run of DAG `{dag_id}`; skipped when there is nothing to do | the log says what the request was refused for |
| `follow` | looks every few seconds, later minutes, whether that has ended; takes no worker in between | the error is its `failureReason`; mend that, and *Trigger* |{more}

Times are UTC. A time that was missed is not made up for: one run, for the last time it was due.
"""
CAMPAIGNS = (
    "\n| `campaigns` | makes the campaigns that the file wants and that were not there for want of a version; those that "
    "are there follow by themselves | the log says what CreateCampaign refuses |"
)
report_failure = support.log_failure("what was there before stays; the next time is the next chance")


def timetable(timing: Timing) -> CronTriggerTimetable | DeltaTriggerTimetable:
    """At the moments of a cron expression, or every so often from the DAG's start_date."""
    if timing.cron is not None:
        return CronTriggerTimetable(timing.cron, timezone="UTC")
    assert timing.every is not None
    return DeltaTriggerTimetable(timing.every)


def declared(schedule: Schedule) -> None:
    """The DAG of one schedule."""
    verb, does, made, dag_id = WHAT[schedule.kind]
    doc = DOC.format(
        verb=verb,
        does=does,
        dag_id=dag_id,
        made=made,
        more=CAMPAIGNS if schedule.what == FULL else "",
        **{name: getattr(schedule, name) for name in ("expression", "arn", "since", "group")},
    )

    @dag(
        dag_id=schedule.dag_id,
        description=f"{verb} {schedule.arn.rpartition(':')[2]}: {schedule.expression}",
        doc_md=doc,
        schedule=timetable(schedule.timing),
        # Without it Airflow would run a schedule that is new for the last time it would have been due.
        start_date=schedule.start,
        catchup=False,
        # A company's own Airflow pauses what is new, and who declares a schedule means it.
        is_paused_upon_creation=False,
        max_active_runs=1,
        dagrun_timeout=timedelta(days=2),
        tags=["openpersonalize", "schedule", "declared", schedule.group],
        default_args={
            **support.DEFAULT_ARGS,
            "execution_timeout": timedelta(minutes=10),
            "pool": support.SCHEDULES_POOL,
            "on_failure_callback": report_failure,
        },
    )
    def run() -> None:
        """begin -> follow, and of full trainings -> campaigns."""

        @task
        def begin() -> str:
            from pipelines.aws.errors import InvalidInput, ResourceInUse, ResourceNotFound
            from pipelines.datasets.errors import ImportRefused
            from pipelines.declared.running import NothingToDo, begin

            context = get_current_context()
            run = f"{schedule.dag_id}/{context['run_id']}"
            with (
                support.no_retry(AirflowSkipException, NothingToDo),
                support.no_retry(AirflowFailException, InvalidInput, ResourceInUse, ResourceNotFound, ImportRefused),
            ):
                return begin(Settings.from_env(), schedule.arn, schedule.what, support.moment(context), run)

        @task.sensor(task_id="follow", **support.WAITING)
        def follow(made: Any) -> bool:
            from pipelines.schedules.retraining import TrainingFailed, ended

            with support.no_retry(AirflowFailException, TrainingFailed):
                return ended(Settings.from_env(), made)

        @task
        def campaigns() -> list[str]:
            from pipelines.aws.errors import AwsError
            from pipelines.declared.running import NothingToDo, make_campaigns

            run = f"{schedule.dag_id}/{get_current_context()['run_id']}"
            with (
                support.no_retry(AirflowSkipException, NothingToDo),
                support.no_retry(AirflowFailException, AwsError),
            ):
                return make_campaigns(Settings.from_env(), schedule.arn, run)

        ended: Any = follow(begin())
        if schedule.what == FULL:
            ended >> campaigns()

    run()


for one in current(Settings.from_env()):
    declared(one)
