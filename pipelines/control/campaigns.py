"""Campaigns: which version is served, and how.

What is wanted stands in `internal.deployment`; the runtime's workers load it and report, and when all have, the
reconciler makes it what `doc` says is served. So an update that fails leaves the old deployment serving.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, func, select

from pipelines.aws import arns, models
from pipelines.aws.errors import CONTROL, InvalidInput, ResourceInUse
from pipelines.aws.unavailable import refuse_unavailable
from pipelines.control import auditing, lookup, views
from pipelines.control.context import Context, Given
from pipelines.control.creation import check_quotas, create
from pipelines.control.exploration import check_exploration
from pipelines.control.recipes import require_recipe
from pipelines.control.solution_versions import resolve
from pipelines.registry import store, wishes
from pipelines.registry.store import Resource
from pipelines.settings import Settings
from pipelines.versions.lookup import DROPPED, challenger
from pipelines.versions.rollout import on_hold

describe = views.describing("Campaign")
list_all = views.listing("Campaign", "campaigns", within="Solution")
delete = views.deleting("Campaign", lambda _context, _campaign: ())
"""With its experiments and what they found."""


def create_campaign(context: Context, given: Given) -> Given:
    """CREATE PENDING until every worker of the runtime serves it."""
    asked = given["solutionVersionArn"]
    version = resolve(context, asked)
    config = given.get("campaignConfig", {})
    check_config(config, asked, version.doc["recipeArn"])
    deployment = deployment_of(version, config, given.get("minProvisionedTPS", 1))
    solution = lookup.require(context, "Solution", version.doc["solutionArn"])
    made = create(
        context,
        "Campaign",
        given,
        status=store.CREATE_PENDING,
        group=lookup.group_of(context, version),
        parent=solution,
        doc=_served(deployment),
        internal={"deployment": deployment},
    )
    wishes.wake_reconciler(context.conn)
    return {"campaignArn": made.arn}


def update_campaign(context: Context, given: Given) -> Given:
    """The old deployment serves until the new one is ACTIVE; raises ResourceInUse while something else changes it."""
    campaign = lock_settled(context, given["campaignArn"], failed_too=True)
    config = given.get("campaignConfig", campaign.doc.get("campaignConfig", {}))
    asked = given.get("solutionVersionArn")
    version = resolve(context, asked or still(context, campaign, config))
    check_config(config, asked, version.doc["recipeArn"])
    if version.group_id != campaign.group_id:
        raise InvalidInput("solutionVersionArn: the version belongs to another dataset group than the campaign.")
    least_tps = given.get("minProvisionedTPS", campaign.doc["minProvisionedTPS"])
    begin_update(context, campaign, version, deployment_of(version, config, least_tps))
    if campaign.status == store.CREATE_FAILED:
        # It takes a place again, as a new one does.
        revived = store.update(context.conn, campaign.id, status=store.CREATE_PENDING, failure_reason=None)
        check_quotas(context, revived)
    return {"campaignArn": campaign.arn}


# Unlike AWS, serving: UpdateCampaign raises ResourceInUse while the campaign carries an experiment, and a campaign that
# follows its solution stays on its version until the experiment ends. What is compared must not change on the way.
def lock_settled(context: Context, arn: str, *, failed_too: bool = False) -> Resource:
    """The campaign, held, which must be ACTIVE, or CREATE FAILED if `failed_too`, without an update or an experiment.

    Raises ResourceNotFound, ResourceInUse.
    """
    campaign = lookup.lock(context, "Campaign", arn)
    if campaign.status != store.ACTIVE and not (failed_too and campaign.status == store.CREATE_FAILED):
        or_failed = " or CREATE FAILED" if failed_too else ""
        raise ResourceInUse(f"{campaign.arn} is {campaign.status}; it must be ACTIVE{or_failed}.")
    update = campaign.doc.get("latestCampaignUpdate", {})
    if update.get("status") in store.UNFINISHED:
        raise ResourceInUse(f"{campaign.arn} is being updated: {update['status']}.")
    if challenger(campaign):
        raise ResourceInUse(
            f"{campaign.arn} carries an experiment with {challenger(campaign)}; end it first: "
            f"`openpersonalize ab {campaign.name} --stop` or `--promote`."
        )
    return campaign


def begin_update(context: Context, campaign: Resource, version: Resource, deployment: dict[str, Any]) -> None:
    """Have the workers load the deployment, shown as an update until they have."""
    now = round(context.now.timestamp(), 3)
    latest = {
        **_served(deployment),
        "status": store.CREATE_PENDING,
        "creationDateTime": now,
        "lastUpdatedDateTime": now,
    }
    store.update(
        context.conn,
        campaign.id,
        doc={"latestCampaignUpdate": latest},
        internal={"deployment": deployment},
        parent_id=version.parent_id,
    )
    wishes.wake_reconciler(context.conn)


def update_in_run(
    settings: Settings, conn: Connection, request: Mapping[str, Any], run_id: str, request_id: str | None
) -> str:
    """UpdateCampaign for a run that a person started in Airflow; the campaign's id. Raises what the operation raises.

    A bare `$LATEST` is that of the solution which the campaign serves, and of campaignConfig only what is given changes.
    Nothing is done when that is what the campaign serves or is about to: so a retry of the run updates it once.
    """
    now = conn.execute(select(func.now())).scalar_one()
    context = Context(conn, settings, request_id or run_id, now)
    campaign = lookup.lock(context, "Campaign", request["campaignArn"])
    asked = request["solutionVersionArn"]
    if asked == arns.LATEST:
        asked = f"{campaign.doc['solutionVersionArn'].rpartition('/')[0]}/{arns.LATEST}"
    config = {**campaign.doc.get("campaignConfig", {}), **request["campaignConfig"]}
    given = {"campaignArn": campaign.arn, "solutionVersionArn": asked, "campaignConfig": config}
    given = models.parse_input(CONTROL, "UpdateCampaign", orjson.dumps(given))
    wanted = campaign.internal["deployment"]
    update = campaign.doc.get("latestCampaignUpdate", {})
    same = (wanted["solution_version_id"], wanted["config"]) == (resolve(context, asked).id, config)
    if not same or store.CREATE_FAILED in (campaign.status, update.get("status")):
        update_campaign(context, given)
        auditing.made_in_run(context, "UpdateCampaign", campaign.arn, run_id)
    return campaign.id


def still(context: Context, campaign: Resource, config: Given) -> str:
    """What an update without solutionVersionArn serves: the same, or, if it shall follow, the newest not held back."""
    served: str = campaign.doc["solutionVersionArn"]
    if not config.get("syncWithLatestSolutionVersion"):
        return served
    now = lookup.require(context, "SolutionVersion", served)
    siblings = store.children(context.conn, now.parent_id or "", "SolutionVersion")
    newer = [one.arn for one in siblings if one.created_at > now.created_at and _rolls_out(one)]
    return newer[-1] if newer else served


def _rolls_out(version: Resource) -> bool:
    return version.status == store.ACTIVE and not version.internal.get(DROPPED) and not on_hold(version)


# Unlike AWS, limits: minProvisionedTPS is kept and shown, and provisions nothing. One runtime serves all campaigns
# with all that its machine has.
def deployment_of(version: Resource, config: Given, least_tps: int) -> dict[str, Any]:
    """What the runtime's workers load."""
    return {
        "id": store.new_id(),
        "solution_version_id": version.id,
        "solution_version_arn": version.arn,
        "bento": version.internal.get("bento", f"solution-{version.parent_id}:{version.id}"),
        "config": config,
        "minProvisionedTPS": least_tps,
    }


def _served(deployment: dict[str, Any]) -> Given:
    """The describe answer's members of a deployment."""
    return {
        "solutionVersionArn": deployment["solution_version_arn"],
        "minProvisionedTPS": deployment["minProvisionedTPS"],
        "campaignConfig": deployment["config"],
    }


def check_config(config: Given, asked: str | None, recipe_arn: str) -> None:
    """Raise InvalidInput for what a version of the recipe cannot be served with; `asked` is None when no version was named."""
    if require_recipe(recipe_arn).recipe_type == "USER_SEGMENTATION":
        raise InvalidInput("solutionVersionArn: a version of a USER_SEGMENTATION recipe cannot be deployed.")
    if config.get("syncWithLatestSolutionVersion") and asked is not None and not arns.is_latest(asked):
        raise InvalidInput(
            "campaignConfig.syncWithLatestSolutionVersion: solutionVersionArn must be <solution ARN>/$LATEST."
        )
    refuse_unavailable(
        "campaignConfig.",
        rankingInfluence=config.get("rankingInfluence"),
    )
    check_exploration("campaignConfig", config)
