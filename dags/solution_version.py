"""Train, version and deploy one solution version. The work itself is in pipelines/versions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

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
| `deploy` | campaigns with `syncWithLatestSolutionVersion` move to it | the version is ACTIVE all the same; update the campaign by hand, or *Clear* |

A failed run leaves the version in CREATE FAILED with the reason in `failureReason`; what was served before goes on.
Two versions of one solution queue for its branch; versions of different solutions are made side by side, as far as
pool `memory` allows.
"""


def _fail(settings: Any, version_id: str, reason: str) -> None:
    from pipelines.versions import fail

    fail(settings, version_id, reason)


report_failure = support.failure_callback(_fail, support.resource_id("claim"))


@dag(
    dag_id="solution_version",
    description="Train a model from frozen inputs, package it as a Bento, deploy it where campaigns follow",
    doc_md=DOC,
    schedule=None,
    catchup=False,
    max_active_runs=16,
    dagrun_timeout=timedelta(days=2),
    tags=["openpersonalize", "training"],
    default_args={**support.DEFAULT_ARGS, "on_failure_callback": report_failure},
    params={
        "resource_id": Param(
            None, type=["null", "string"], pattern="^[0-9a-f]{16}$", title="Solution version id (set by the API)"
        ),
        "solution_arn": Param(
            None,
            type=["null", "string"],
            pattern="^arn:.+:solution/[^/]+$",
            title="Solution ARN",
            description="Started by hand: the solution to train a new version of.",
        ),
        "request_id": Param(None, type=["null", "string"], title="Request id, for the logs"),
    },
)
def solution_version() -> None:
    """claim -> reproduce -> publish -> deploy."""

    @task(execution_timeout=timedelta(minutes=10))
    def claim() -> str:
        from pipelines.aws.errors import AwsError
        from pipelines.settings import Settings
        from pipelines.versions import VersionFailed, claim

        context = get_current_context()
        params = context["params"]
        support.announce(context["dag_run"].conf)
        with support.no_retry(AirflowFailException, VersionFailed, AwsError, ValueError):
            version_id = params["resource_id"]
            if version_id is None:
                if params["solution_arn"] is None:
                    raise ValueError("Give solution_arn: the ARN of the solution to train a new version of.")
                version_id = support.made_for_run(
                    context, "CreateSolutionVersion", {"solutionArn": params["solution_arn"]}
                )
            claim(Settings.from_env(), version_id)
        return str(version_id)

    @task(pool=support.POOL, pool_slots=2, execution_timeout=timedelta(days=1))
    def reproduce(version_id: str) -> None:
        from pipelines.disk import DiskFull
        from pipelines.settings import Settings
        from pipelines.versions import VersionFailed, reproduce

        support.announce(get_current_context()["dag_run"].conf)
        with support.no_retry(AirflowFailException, VersionFailed, DiskFull):
            reproduce(Settings.from_env(), version_id)

    @task(execution_timeout=timedelta(hours=1))
    def publish(version_id: str) -> None:
        from pipelines.settings import Settings
        from pipelines.versions import VersionFailed, publish

        support.announce(get_current_context()["dag_run"].conf)
        with support.no_retry(AirflowFailException, VersionFailed):
            publish(Settings.from_env(), version_id)

    @task(execution_timeout=timedelta(minutes=10))
    def deploy(version_id: str) -> None:
        from pipelines.settings import Settings
        from pipelines.versions import VersionFailed, deploy

        support.announce(get_current_context()["dag_run"].conf)
        with support.no_retry(AirflowFailException, VersionFailed):
            deploy(Settings.from_env(), version_id)

    version_id: Any = claim()
    reproduce(version_id) >> publish(version_id) >> deploy(version_id)


solution_version()
