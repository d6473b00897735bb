"""Train, version and deploy one solution version. The work itself is in pipelines/versions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow import sdk
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from pipelines import dag_lineage as lineage
from pipelines import dag_support as support

DOC = """
### Make a solution version

Started by `CreateSolutionVersion`, or here by hand: *Trigger*, and give `solution_arn`; a new version is created and
this run trains it.

| task | what it does | when it fails |
|---|---|---|
| `claim` | freezes what is trained from: the datasets' snapshots and the newest streamed event | there is no data: import first |
| `reproduce` | `dvc repro` in a worktree of the group's repository, one log group a stage; commit, tag `sv/<solution>/<version>`, `dvc push` | the log's last stage says why; finished stages are in the cache, so *Clear* goes on where it stopped |
| `publish` | the BentoML model and Bento, metrics; the version turns ACTIVE; warns of one that a simple rule beats (`openpersonalize metrics`) | *Clear* it: it can be repeated |
| `judge` | compares NDCG@25 with what the campaigns serve that follow; ends the run where none follows | *Clear* it |
| `approve` | only of a version that fell by more than `allowed_fall`: waits up to a week for a person, see *Required Actions* of this page; takes no worker meanwhile | nobody's answer counts as Reject |
| `deploy` | campaigns with `syncWithLatestSolutionVersion` move to it | the version is ACTIVE all the same; deploy it with DAG `campaign_deployment`, or *Clear* |

A version that a client stops (`StopSolutionVersionCreation`) ends its training within seconds: the task in progress and all
after it are *skipped*, and the run ends in success. It cannot be taken up again.

A failed run leaves the version in CREATE FAILED with the reason in `failureReason`; what was served before goes on.
Two versions of one solution queue for its branch; versions of different solutions are made side by side, as far as
pool `memory` allows. A version that waits for a person holds up no other: a newer one makes its question void.
"""


def _fail(settings: Any, version_id: str, reason: str) -> None:
    from pipelines.versions import fail

    fail(settings, version_id, reason)


def request(form: Any) -> support.Request:
    """Of CreateSolutionVersion."""
    return {"solutionArn": form["solution_arn"]}


report_failure = support.failure_callback(_fail, support.resource_id("claim"))


@dag(
    dag_id="solution_version",
    description="Train a model from frozen inputs, package it as a Bento, deploy it where campaigns follow",
    doc_md=DOC,
    schedule=None,
    catchup=False,
    # Twenty versions are made at most at a time; the others wait for a person, one of a solution.
    max_active_runs=100,
    # Two days of work, and a week in which a person may answer.
    dagrun_timeout=timedelta(days=9),
    deadline=support.deadline(sdk, hours=12),
    tags=["openpersonalize", "training"],
    default_args={**support.DEFAULT_ARGS, "on_failure_callback": report_failure},
    params={
        "solution_arn": support.left_empty(
            sdk, "^arn:.+:solution/[^/]+$", "Solution ARN", "Started by hand: the solution to train a new version of."
        ),
        "allowed_fall": Param(
            None,
            type=["null", "number"],
            minimum=0,
            maximum=1,
            title="Fall of NDCG@25 that needs no approval",
            description="A share of the deployed version's: 0.1 is 10 %, 1 never asks. Empty: the platform's setting.",
        ),
        **support.set_by_api(sdk, "solution version"),
    },
)
def solution_version() -> None:
    """claim -> reproduce -> publish -> judge (-> approve) -> deploy."""

    @task(execution_timeout=timedelta(minutes=10))
    def claim() -> str:
        from pipelines.settings import Settings
        from pipelines.versions import claim

        context = get_current_context()
        version_id = support.about(context, AirflowFailException, "CreateSolutionVersion", ("solution_arn",), request)
        with support.version_work(AirflowFailException, AirflowSkipException):
            claim(Settings.from_env(), version_id)
        return version_id

    @task(pool=support.POOL, pool_slots=2, execution_timeout=timedelta(days=1))
    def reproduce(version_id: str) -> None:
        from pipelines.disk import DiskFull
        from pipelines.settings import Settings
        from pipelines.versions import reproduce

        support.announce(get_current_context()["dag_run"].conf)
        with support.version_work(AirflowFailException, AirflowSkipException, DiskFull):
            reproduce(Settings.from_env(), version_id)

    @task(
        execution_timeout=timedelta(hours=1),
        inlets=lineage.SNAPSHOTS.inlets(sdk),
        outlets=lineage.VERSIONS.outlets(sdk),
    )
    def publish(version_id: str) -> None:
        from pipelines.settings import Settings
        from pipelines.versions import publish

        context, settings = get_current_context(), Settings.from_env()
        support.announce(context["dag_run"].conf)
        with support.version_work(AirflowFailException, AirflowSkipException):
            publish(settings, version_id)
        lineage.emit(context, sdk, lineage.VERSIONS, lineage.trained(settings, version_id))

    @task.branch(execution_timeout=timedelta(minutes=10))
    def judge(version_id: str) -> list[str]:
        from pipelines.settings import Settings
        from pipelines.versions import VersionFailed, judge

        context = get_current_context()
        support.announce(context["dag_run"].conf)
        with support.no_retry(AirflowFailException, VersionFailed):
            verdict = judge(Settings.from_env(), version_id, context["params"]["allowed_fall"])
        if verdict.question is not None:
            context["ti"].xcom_push("subject", verdict.question.subject)
            context["ti"].xcom_push("body", verdict.question.body)
            return ["approve"]
        return ["deploy"] if verdict.campaigns else []

    # One way leads around the question.
    @task(
        execution_timeout=timedelta(minutes=10),
        trigger_rule="none_failed_min_one_success",
        inlets=lineage.VERSIONS.inlets(sdk),
        outlets=lineage.CAMPAIGNS.outlets(sdk),
    )
    def deploy(version_id: str) -> None:
        from pipelines.settings import Settings
        from pipelines.versions import deploy

        context, settings = get_current_context(), Settings.from_env()
        support.announce(context["dag_run"].conf)
        with support.version_work(AirflowFailException, AirflowSkipException):
            deploy(settings, version_id)
        lineage.emit(context, sdk, lineage.CAMPAIGNS, lineage.deployed(settings, version_id))

    version_id: Any = claim()
    approve = ApprovalOperator(
        task_id="approve",
        subject="{{ ti.xcom_pull(task_ids='judge', key='subject') }}",
        body="{{ ti.xcom_pull(task_ids='judge', key='body') }}",
        defaults="Reject",
        response_timeout=timedelta(days=7),
    )
    judged: Any = judge(version_id)
    deployed: Any = deploy(version_id)
    reproduce(version_id) >> publish(version_id) >> judged >> [approve, deployed]
    approve >> deployed


solution_version()
