"""A/B experiments: a campaign that answers some of its users from another solution version, the challenger.

AWS has no such thing (spec/runtime.md section 10), so the way in is ours, and unmodified clients must not trip over it:

a command            `openpersonalize ab`, chosen: nothing that boto3 sends or reads changes its meaning
campaignConfig       botocore refuses members that it does not know, and itemExplorationConfig is for exploration
tags                 the platform reads nothing into them, and they may be written without right to change the campaign
two campaigns        what people do with AWS: then the application deals the users and keeps the books

A challenger is part of the campaign's wanted deployment, so workers load it, report it and keep it as they do any version,
and what a campaign holds on to (deletes, `gc`, updates every two hours) it holds on to as well.

While an experiment runs nothing else of the campaign changes: UpdateCampaign is refused rather than ending the experiment,
because a client that sends it, or `apply`, knows nothing of weeks of waiting that it would throw away. A campaign that
follows its solution stays where it is, and catches up when the experiment is stopped.
"""

from __future__ import annotations

from pipelines.aws.errors import InvalidInput
from pipelines.control.campaigns import begin_update, check_config, deployment_of, lock_settled, still
from pipelines.control.context import Context
from pipelines.control.lookup import lock, require
from pipelines.control.recipes import require_recipe
from pipelines.control.solution_versions import resolve
from pipelines.registry import experiments, store, wishes
from pipelines.registry.experiments import Experiment
from pipelines.registry.store import Resource
from pipelines.versions.deploying import set_challenger_down
from pipelines.versions.lookup import challenger


# Unlike AWS, serving: a campaign can answer a share of its users from a second solution version, with results by arm
# (`openpersonalize ab`). AWS leaves experiments to other services.
def start(context: Context, campaign_arn: str, challenger_arn: str, share: int) -> Experiment:
    """Give `share` per cent of the campaign's users the challenger, once every worker has loaded it.

    Raises ResourceNotFound, ResourceInUse, InvalidInput.
    """
    if not 1 <= share <= 99:
        raise InvalidInput(f"share: {share} is not a whole number of per cent from 1 to 99.")
    campaign = lock_settled(context, campaign_arn)
    control = require(context, "SolutionVersion", campaign.doc["solutionVersionArn"])
    version = resolve(context, challenger_arn)
    config = campaign.doc["campaignConfig"]
    _check(campaign, control, version)
    check_config(config, None, version.doc["recipeArn"])
    deployment = {
        **deployment_of(control, config, campaign.doc["minProvisionedTPS"]),
        "challenger": {"solution_version_id": version.id, "solution_version_arn": version.arn},
    }
    store.update(context.conn, campaign.id, internal={"deployment": deployment}, touch=False)
    wishes.wake_reconciler(context.conn)
    return experiments.begin(context.conn, campaign, control, version, share)


def _check(campaign: Resource, control: Resource, version: Resource) -> None:
    if version.group_id != campaign.group_id:
        raise InvalidInput("challenger: the version belongs to another dataset group than the campaign.")
    if version.id == control.id:
        raise InvalidInput(f"challenger: {version.arn} is what the campaign serves; name another version.")
    ours, theirs = (require_recipe(one.doc["recipeArn"]).recipe_type for one in (control, version))
    if ours != theirs:
        raise InvalidInput(
            f"challenger: {version.arn} is of recipe type {theirs}, and the campaign serves {ours}: requests for the one "
            "are none for the other."
        )


def stop(context: Context, campaign_arn: str) -> Resource:
    """End the experiment: all users get the control, or the newest version if the campaign follows its solution.

    The campaign; raises ResourceNotFound, InvalidInput.
    """
    campaign = _lock_carrying(context, campaign_arn)
    experiments.end(context.conn, campaign.id, experiments.STOPPED, context.now)
    config, served = campaign.doc["campaignConfig"], campaign.doc["solutionVersionArn"]
    newest = still(context, campaign, config)
    if newest == served:
        set_challenger_down(context.conn, campaign)
    else:
        version = resolve(context, newest)
        deployment = deployment_of(version, config, campaign.doc["minProvisionedTPS"])
        begin_update(context, campaign, version, deployment)
    return campaign


def promote(context: Context, campaign_arn: str) -> Resource:
    """End the experiment and update the campaign to the challenger, with the campaign's settings as they are.

    The campaign; raises ResourceNotFound, InvalidInput.
    """
    campaign = _lock_carrying(context, campaign_arn)
    version = resolve(context, challenger(campaign) or "")
    experiments.end(context.conn, campaign.id, experiments.PROMOTED, context.now)
    deployment = deployment_of(version, campaign.doc["campaignConfig"], campaign.doc["minProvisionedTPS"])
    begin_update(context, campaign, version, deployment)
    return campaign


def _lock_carrying(context: Context, arn: str) -> Resource:
    campaign = lock(context, "Campaign", arn)
    if not challenger(campaign) or campaign.is_deleting:
        raise InvalidInput(f"{arn} carries no experiment; `openpersonalize ab {campaign.name}` shows its last one.")
    return campaign
