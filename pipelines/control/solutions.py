"""Solutions: what shall be trained, on which group, with which recipe."""

from __future__ import annotations

from collections.abc import Iterable

from pipelines.control import lookup, views
from pipelines.control.context import Context, Given
from pipelines.control.creation import create, members
from pipelines.control.datasets import columns
from pipelines.control.solution_config import check_solution
from pipelines.registry import store
from pipelines.registry.store import Resource

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


def describe_solution(context: Context, given: Given) -> Given:
    """With the summary of its newest version, if it has one."""
    solution = lookup.require(context, "Solution", given["solutionArn"])
    versions = store.children(context.conn, solution.id, "SolutionVersion")
    latest = views.view(versions[-1]) if versions else None
    return {"solution": {**views.view(solution), "latestSolutionVersion": latest}}


def _blockers(context: Context, solution: Resource) -> Iterable[Resource]:
    """Campaigns that serve one of its versions or are about to, and versions that are being trained."""
    versions = store.children(context.conn, solution.id, "SolutionVersion")
    yield from (version for version in versions if version.status in store.UNFINISHED)
    for campaign in store.in_group(context.conn, solution.group_id or "", "Campaign"):
        wanted = campaign.internal.get("deployment", {}).get("solution_version_arn", "")
        if any(arn.startswith(solution.arn + "/") for arn in (campaign.doc["solutionVersionArn"], wanted)):
            yield campaign


delete = views.deleting("Solution", _blockers)
