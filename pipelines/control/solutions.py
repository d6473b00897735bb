"""Solutions: what shall be trained, on which group, with which recipe."""

from __future__ import annotations

from collections.abc import Iterable

from pipelines.aws.errors import InvalidInput
from pipelines.control import batch_jobs, lookup, views
from pipelines.control.context import Context, Given
from pipelines.control.creation import create, members
from pipelines.control.datasets import columns
from pipelines.control.solution_config import check_solution, check_update
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.versions.lookup import challenger

AUTO_TRAINING_SINCE = "auto_training_since"
"""Member of a solution's `internal`: when UpdateSolution turned automatic training on, ISO 8601; absent: at its
creation, if it is on."""

list_all = views.listing("Solution", "solutions", within="DatasetGroup")


def create_solution(context: Context, given: Given) -> Given:
    """ACTIVE at once; training begins with CreateSolutionVersion. Raises InvalidInput, ResourceNotFound.

    `internal["columns"]` keeps, by dataset type, the columns that the datasets have now: those that UpdateDataset adds
    later are left out of this solution's trainings (spec: datasets.md section 11). A type without an entry had no
    dataset then, and no column of it is left out.
    """
    group = lookup.lock_active(context, "DatasetGroup", given["datasetGroupArn"])
    now = columns(context, group)
    check_solution(given, now)
    doc = {
        "performHPO": False,
        "performAutoML": False,
        "performAutoTraining": True,
        "solutionConfig": {},
        **members(
            given,
            "performHPO",
            "performAutoML",
            "performAutoTraining",
            "performIncrementalUpdate",
            "recipeArn",
            "eventType",
            "solutionConfig",
        ),
        "datasetGroupArn": group.arn,
    }
    internal = {"columns": now}
    return {"solutionArn": create(context, "Solution", given, group=group, doc=doc, internal=internal).arn}


def update_solution(context: Context, given: Given) -> Given:
    """Automatic training on or off and how often, at once; nothing else of a solution can change.

    The solution shows what holds from now on, and `latestSolutionUpdate` what was asked for. Turned on, it is as with
    a new solution: its first version begins within the hour. Raises InvalidInput, ResourceNotFound, ResourceInUse.
    """
    solution = lookup.lock_active(context, "Solution", given["solutionArn"])
    asked = members(given, "performAutoTraining", "performIncrementalUpdate", "solutionUpdateConfig")
    if not asked:
        raise InvalidInput(
            "Give what to update: performAutoTraining, performIncrementalUpdate or solutionUpdateConfig."
        )
    check_update(given, solution.doc["recipeArn"])
    now = round(context.now.timestamp(), 3)
    doc = {
        **members(given, "performAutoTraining", "performIncrementalUpdate"),
        "solutionConfig": {**solution.doc["solutionConfig"], **given.get("solutionUpdateConfig", {})},
        "latestSolutionUpdate": {
            **asked,
            "status": store.ACTIVE,
            "creationDateTime": now,
            "lastUpdatedDateTime": now,
        },
    }
    turned_on = given.get("performAutoTraining", False) and not solution.doc["performAutoTraining"]
    internal = {AUTO_TRAINING_SINCE: context.now.isoformat()} if turned_on else None
    store.update(context.conn, solution.id, doc=doc, internal=internal)
    return {"solutionArn": solution.arn}


def describe_solution(context: Context, given: Given) -> Given:
    """With the summary of its newest version, if it has one."""
    solution = lookup.require(context, "Solution", given["solutionArn"])
    latest = store.newest_child(context.conn, solution.id, "SolutionVersion")
    return {"solution": {**views.view(solution), "latestSolutionVersion": views.view(latest) if latest else None}}


def _blockers(context: Context, solution: Resource) -> Iterable[Resource]:
    """Campaigns that serve one of its versions or are about to, if only to some users; versions in training, batch jobs
    that are unfinished.
    """
    versions = store.children(context.conn, solution.id, "SolutionVersion")
    yield from (version for version in versions if version.status in store.UNFINISHED)
    made = {version.id for version in versions}
    yield from (job for job in batch_jobs.unfinished(context, solution.group_id) if job.parent_id in made)
    for campaign in store.in_group(context.conn, solution.group_id or "", "Campaign"):
        wanted = campaign.internal.get("deployment", {}).get("solution_version_arn", "")
        arns = (campaign.doc["solutionVersionArn"], wanted, challenger(campaign) or "")
        if any(arn.startswith(solution.arn + "/") for arn in arns):
            yield campaign


delete = views.deleting("Solution", _blockers)
