"""Which version of a solution may be updated between trainings, and why one may not (spec: training.md sections 3, 4)."""

from __future__ import annotations

from sqlalchemy import Connection

from pipelines.recipes import catalogue
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.versions.errors import VersionFailed
from pipelines.versions.lookup import BASE, DROPPED, NO_LONGER_REPRODUCIBLE, campaigns_of

UPDATE_RECIPES = ("aws-user-personalization", "aws-hrnn-coldstart")
"""Those that trainingMode UPDATE is for."""


class NotUpdatable(VersionFailed):
    """The text says why, and what to do."""


def newest_full(conn: Connection, solution: Resource) -> Resource:
    """The newest ACTIVE version of trainingMode FULL, whose model can still be started from; raises NotUpdatable."""
    versions = store.children(conn, solution.id, "SolutionVersion")
    full = [version for version in versions if version.status == store.ACTIVE and BASE not in version.internal]
    if not full:
        raise NotUpdatable(f"{solution.arn} has no ACTIVE version of trainingMode FULL to start from; create one.")
    refuse_lost(full[-1])
    return full[-1]


def refuse_lost(version: Resource) -> None:
    """Raise NotUpdatable when the version's model, or what it was trained on, is not there any more."""
    if version.internal.get(DROPPED):
        raise NotUpdatable(f"The model of {version.arn}, the newest FULL version, was removed; train FULL again.")
    if version.internal.get(NO_LONGER_REPRODUCIBLE):
        raise NotUpdatable(
            f"What {version.arn}, the newest FULL version, was trained on held users who were deleted; train FULL again."
        )


def automatic(conn: Connection, solution: Resource) -> Resource:
    """The version that automatic updates of a solution are for now; raises NotUpdatable.

    Whether there is anything new for it is another question (pipelines.schedules.updates_due).
    """
    recipe = catalogue.recipe_by_arn(solution.doc["recipeArn"])
    if recipe is None or not recipe.explores:
        raise NotUpdatable(f"{solution.doc['recipeArn']} does not explore new items: it is only trained.")
    newest = newest_full(conn, solution)
    versions = store.children(conn, solution.id, "SolutionVersion")
    if any(version.internal.get(BASE) == newest.id and version.status == store.ACTIVE for version in versions):
        raise NotUpdatable(
            f"A version of trainingMode UPDATE has ended the automatic updates of {newest.arn}; train FULL again and deploy."
        )
    if not campaigns_of(conn, newest):
        raise NotUpdatable(f"{newest.arn}, the newest FULL version, is deployed in no campaign.")
    _refuse_gone_datasets(conn, newest)
    return newest


def _refuse_gone_datasets(conn: Connection, version: Resource) -> None:
    datasets = {d.doc["datasetType"]: d for d in store.in_group(conn, version.group_id or "", "Dataset")}
    snapshots = version.internal.get("snapshots", {})
    for kind in ("INTERACTIONS", *snapshots, *version.internal.get("record_cutoffs", ())):
        dataset = datasets.get(kind)
        trained_on = snapshots.get(kind, {}).get("dataset_id")
        if dataset is None or dataset.is_deleting or trained_on not in (None, dataset.id):
            raise NotUpdatable(f"The {kind} dataset that {version.arn} was trained on was deleted; train FULL again.")
