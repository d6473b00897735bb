"""Solution versions: each is one training; DAG `solution_version` does the work."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pipelines.aws import arns
from pipelines.aws.errors import InvalidInput, ResourceAlreadyExists, ResourceInUse
from pipelines.control import lookup, views
from pipelines.control.by_hand import in_run
from pipelines.control.context import Context, Given
from pipelines.control.creation import create, members
from pipelines.control.recipes import require_recipe
from pipelines.registry import store, wishes
from pipelines.registry.store import Resource
from pipelines.versions.lookup import BASE, dropped
from pipelines.versions.updatable import UPDATE_RECIPES, NotUpdatable, newest_full

DAG_ID = "solution_version"
MANUAL = "MANUAL"
MAX_NAME = 63
SCHEDULED_FOR = "scheduled_for"
"""Member of a version's `internal`: the moment an automatic training was due, ISO 8601; absent of those by hand."""

describe = views.describing("SolutionVersion")
_list_any = views.listing("SolutionVersion", "solutionVersions", within="Solution")


def create_solution_version(context: Context, given: Given) -> Given:
    """Always a new one; several train at once. Raises InvalidInput, ResourceInUse."""
    version = _create(context, given)
    wishes.wish(context.conn, version, DAG_ID)
    return {"solutionVersionArn": version.arn}


def create_automatic(
    context: Context,
    solution: Resource,
    *,
    scheduled_for: datetime,
    mode: str = "FULL",
    tags: Sequence[Mapping[str, str]] = (),
) -> Resource:
    """A version that a schedule makes, and the wish for its DAG run; holds the solution until the transaction ends.

    `scheduled_for` is the moment it was due: the schedule's clock counts from it, so that what queues or comes late
    shifts no later one. Raises what CreateSolutionVersion raises, less LimitExceeded: it takes none of the places
    that clients have (pipelines/quotas.py).
    """
    given = {"solutionArn": solution.arn, "trainingMode": mode, "tags": list(tags)}
    version = _create(context, given, "AUTOMATIC", {SCHEDULED_FOR: scheduled_for.isoformat()})
    wishes.wish(context.conn, version, DAG_ID)
    return version


def _create(
    context: Context, given: Given, training_type: str = MANUAL, internal: Mapping[str, Any] | None = None
) -> Resource:
    solution = lookup.lock_active(context, "Solution", given["solutionArn"])
    group = lookup.group_of(context, solution)
    # AUTOTRAIN is trained like FULL.
    mode = "UPDATE" if given.get("trainingMode") == "UPDATE" else "FULL"
    check_trainable(context, solution)
    base = {BASE: _base(context, solution).id} if mode == "UPDATE" else {}
    _refuse_taken_name(context, solution, given.get("name"))
    hexadecimal = secrets.token_hex(4)
    described = ("performHPO", "performAutoML", "performIncrementalUpdate", "recipeArn", "eventType", "solutionConfig")
    return create(
        context,
        "SolutionVersion",
        given,
        status=store.CREATE_PENDING,
        name=given.get("name") or f"{solution.name[: MAX_NAME - 9]}/{hexadecimal}",
        arn_parts=(solution.name, hexadecimal),
        group=group,
        parent=solution,
        doc={
            **members(solution.doc, *described),
            "solutionArn": solution.arn,
            "datasetGroupArn": group.arn,
            "trainingMode": mode,
            "trainingType": training_type,
        },
        internal={**(internal or {}), **base},
    )


create_in_run = in_run("CreateSolutionVersion", _create, DAG_ID)


def _base(context: Context, solution: Resource) -> Resource:
    """The version that one of trainingMode UPDATE takes its weights from; raises InvalidInput."""
    recipe = solution.doc["recipeArn"].rpartition("/")[2]
    if recipe not in UPDATE_RECIPES:
        raise InvalidInput(f"trainingMode: UPDATE is for {' and '.join(UPDATE_RECIPES)}, not for {recipe}; use FULL.")
    try:
        return newest_full(context.conn, solution)
    except NotUpdatable as error:
        raise InvalidInput(f"trainingMode: {error}") from error


def check_trainable(context: Context, solution: Resource) -> None:
    """Raise InvalidInput or ResourceNotFound unless a version can be trained now."""
    recipe = require_recipe(solution.doc["recipeArn"])
    if not recipe.trainable:
        raise InvalidInput(f"not available yet: training {recipe.name}, the recipe of {solution.arn}.")
    datasets = store.in_group(context.conn, solution.group_id or "", "Dataset")
    if not any(d.doc["datasetType"] == "INTERACTIONS" and d.status == store.ACTIVE for d in datasets):
        raise InvalidInput("The dataset group has no Interactions dataset; create one, then import or stream events.")


def _refuse_taken_name(context: Context, solution: Resource, name: str | None) -> None:
    siblings = store.children(context.conn, solution.id, "SolutionVersion") if name is not None else []
    if any(version.name == name for version in siblings):
        raise ResourceAlreadyExists(f"{solution.arn} already has a solution version named {name}.")


def list_solution_versions(context: Context, given: Given) -> Given:
    """Alone among the lists it raises ResourceNotFound for the ARN that narrows it."""
    if "solutionArn" in given:
        lookup.require(context, "Solution", given["solutionArn"])
    return _list_any(context, given)


def get_solution_metrics(context: Context, given: Given) -> Given:
    """The hold-out metrics; raises ResourceInUse until the training has ended."""
    version = lookup.require(context, "SolutionVersion", given["solutionVersionArn"])
    if version.status == store.CREATE_FAILED:
        raise InvalidInput(f"{version.arn} has no metrics: its training failed: {version.failure_reason}")
    if version.status == store.CREATE_STOPPED:
        raise InvalidInput(f"{version.arn} has no metrics: its training was stopped.")
    if version.status != store.ACTIVE:
        raise ResourceInUse(f"{version.arn} is {version.status}; metrics are there once it is ACTIVE.")
    return {"solutionVersionArn": version.arn, "metrics": version.internal.get("metrics", {})}


def stop_solution_version_creation(context: Context, given: Given) -> Given:
    """CREATE STOPPED at once if nothing has begun, else CREATE STOPPING until its processes have ended.

    Raises ResourceInUse in any other state. How it reaches the processes: pipelines/versions/stopping.py.
    """
    version = lookup.lock(context, "SolutionVersion", given["solutionVersionArn"])
    stopped = {store.CREATE_PENDING: store.CREATE_STOPPED, store.CREATE_IN_PROGRESS: store.CREATE_STOPPING}
    if version.status not in stopped:
        raise ResourceInUse(
            f"{version.arn} is {version.status}; only a version that is CREATE PENDING or CREATE IN_PROGRESS can be stopped."
        )
    store.update(context.conn, version.id, status=stopped[version.status])
    wishes.wake_reconciler(context.conn)
    return {}


def resolve(context: Context, arn: str) -> Resource:
    """The ACTIVE version that a campaign's solutionVersionArn names, its solution locked.

    `<solution ARN>/$LATEST` is the newest ACTIVE one. Raises ResourceNotFound, ResourceInUse, InvalidInput.
    """
    if arns.is_latest(arn):
        solution = lookup.lock_active(context, "Solution", arn.removesuffix("/" + arns.LATEST))
        versions = store.children(context.conn, solution.id, "SolutionVersion")
        active = [version for version in versions if version.status == store.ACTIVE]
        if not active:
            raise InvalidInput(f"solutionVersionArn: {solution.arn} has no version that is ACTIVE.")
        return _deployable(active[-1])
    return active_version(context, arn)


def active_version(context: Context, arn: str) -> Resource:
    """The ACTIVE version of that ARN, its solution locked; raises ResourceNotFound, ResourceInUse, InvalidInput."""
    found = lookup.require(context, "SolutionVersion", arn)
    lookup.lock_active(context, "Solution", found.doc["solutionArn"])
    return _deployable(lookup.lock_active(context, "SolutionVersion", arn))


def _deployable(version: Resource) -> Resource:
    """Raise InvalidInput for a version whose artefact was removed."""
    reason = dropped(version)
    if reason is not None:
        raise InvalidInput(f"solutionVersionArn: {reason}")
    return version
