"""Deploy a version to a campaign: roll forward, or back. The work itself is in pipelines/control and pipelines/versions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow import sdk
from airflow.sdk import Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from pipelines import dag_lineage as lineage
from pipelines import dag_support as support

DOC = """
### Deploy that version to a campaign, or roll back to an older one

*Trigger*, and give `campaign_arn` and `solution_version_arn`: what UpdateCampaign does, followed to its end. Until the new
version is loaded by every worker of the runtime, the old one serves, and goes on if the new one cannot be loaded.

| task | what it does | when it fails |
|---|---|---|
| `update` | UpdateCampaign; nothing when the campaign serves that version already | the reason names what is wrong with the form; another update that runs is waited for |
| `wait` | follows `latestCampaignUpdate` until it is ACTIVE; at once with `wait` off | the reason is the update's `failureReason`; the campaign goes on with what it served. After an hour: look at `openpersonalize status`, the runtime does not answer |

A named version stays until somebody deploys another. To let the campaign follow new versions (again), choose
`$LATEST` with `follow` on: it takes the newest ACTIVE version, held back or not, and each one after it.
"""


report_failure = support.log_failure("the campaign goes on with what it served")


@dag(
    dag_id="campaign_deployment",
    description="Deploy that version to a campaign, or roll back to an older one",
    doc_md=DOC,
    schedule=None,
    catchup=False,
    max_active_runs=16,
    dagrun_timeout=timedelta(hours=2),
    deadline=support.deadline(sdk, hours=1),
    tags=["openpersonalize", "serving"],
    default_args={**support.DEFAULT_ARGS, "on_failure_callback": report_failure},
    params={
        "campaign_arn": support.left_empty(
            sdk, "^arn:.+:campaign/[^/]+$", "Campaign ARN", "The campaign that shall serve another version."
        ),
        "solution_version_arn": Param(
            "$LATEST",
            type="string",
            pattern=r"^(\$LATEST|arn:.+:solution/[^/]+/([0-9a-f]{8}|\$LATEST))$",
            title="Solution version",
            description="ARN of an ACTIVE version, older or newer. $LATEST: the newest of the solution that it serves now.",
        ),
        "follow": Param(
            False,
            type="boolean",
            title="Follow new versions from now on",
            description="Only with $LATEST. Off: it stays on this version until somebody deploys another.",
        ),
        "wait": Param(
            True,
            type="boolean",
            title="Wait until it is served",
            description="Off: the run ends as soon as the update is asked for.",
        ),
        "request_id": Param(
            None, type=["null", "string"], title="Request id", description="For the logs; left empty by hand."
        ),
    },
)
def campaign_deployment() -> None:
    """update -> wait."""

    @task(execution_timeout=timedelta(minutes=10), retries=5)
    def update() -> str:
        from pipelines.aws.errors import InvalidInput, ResourceNotFound, Validation

        context = get_current_context()
        params: Any = context["params"]
        support.announce(context["dag_run"].conf)
        request = {
            "campaignArn": params["campaign_arn"],
            "solutionVersionArn": params["solution_version_arn"],
            "campaignConfig": {"syncWithLatestSolutionVersion": params["follow"]},
        }
        # Not ResourceInUse: the update that is in the way ends.
        with support.no_retry(AirflowFailException, InvalidInput, ResourceNotFound, Validation, ValueError):
            if params["campaign_arn"] is None:
                raise ValueError("Give campaign_arn: the ARN of the campaign that shall serve another version.")
            return support.made_for_run(context, "UpdateCampaign", request)

    # Between two looks it holds no worker.
    @task.sensor(
        mode="reschedule",
        poke_interval=5,
        timeout=timedelta(hours=1).total_seconds(),
        execution_timeout=timedelta(minutes=10),
        inlets=lineage.VERSIONS.inlets(sdk),
        outlets=lineage.CAMPAIGNS.outlets(sdk),
    )
    def wait(campaign_id: str) -> bool:
        from pipelines.settings import Settings
        from pipelines.versions import DeploymentFailed, is_deployed

        context, settings = get_current_context(), Settings.from_env()
        support.announce(context["dag_run"].conf)
        with support.no_retry(AirflowFailException, DeploymentFailed):
            done = not context["params"]["wait"] or is_deployed(settings, campaign_id)
        if done:
            lineage.emit(context, sdk, lineage.CAMPAIGNS, lineage.moved(settings, campaign_id))
        return done

    campaign_id: Any = update()
    wait(campaign_id)


campaign_deployment()
