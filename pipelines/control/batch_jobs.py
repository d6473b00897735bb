"""What batch inference jobs and batch segment jobs share: which version answers, where files come from and go to.

A job hangs on its solution version, cannot be deleted, and goes with the version's solution, which it keeps from being
deleted while it is unfinished.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from pipelines.aws.errors import InvalidInput
from pipelines.control import lookup
from pipelines.control.context import Context, Given
from pipelines.control.creation import create, members
from pipelines.control.locations import check_destination, check_source
from pipelines.control.recipes import require_recipe
from pipelines.control.solution_versions import active_version
from pipelines.filters.checking import kept
from pipelines.filters.literals import SPELLED
from pipelines.filters.tree import Target
from pipelines.recipes.catalogue import Recipe
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.settings import Settings

KINDS = ("BatchInferenceJob", "BatchSegmentJob")
DEFAULT_RESULTS = 25
"""AWS's, of each line."""


def version_of(context: Context, given: Given) -> tuple[Resource, Recipe]:
    """The ACTIVE version that answers, locked, and its recipe; raises ResourceNotFound, ResourceInUse, InvalidInput."""
    version = active_version(context, given["solutionVersionArn"])
    return version, require_recipe(version.doc["recipeArn"])


def check_asked(given: Given, recipe: Recipe, recipe_types: Collection[str], use: str, most_results: int) -> None:
    """Raise InvalidInput unless the recipe is of one of the types and so many results may be asked for.

    `use` says what else there is for other types.
    """
    if recipe.recipe_type not in recipe_types:
        raise InvalidInput(
            f"solutionVersionArn: {recipe.name} is of type {recipe.recipe_type}; "
            f"the job needs a version of type {' or '.join(recipe_types)}. {use}"
        )
    count = given.get("numResults", DEFAULT_RESULTS)
    if not 1 <= count <= most_results:
        raise InvalidInput(f"numResults must be 1 to {most_results}, not {count}.")


def create_job(context: Context, kind: str, given: Given, version: Resource, **doc: Any) -> Resource:
    """A job of `kind` on the version, CREATE PENDING; raises InvalidInput, ResourceNotFound, ResourceInUse."""
    check_places(context.settings, given)
    return create(
        context,
        kind,
        given,
        status=store.CREATE_PENDING,
        group=lookup.group_of(context, version),
        parent=version,
        doc={
            **members(given, "jobInput", "jobOutput", "roleArn", "filterArn"),
            "solutionVersionArn": version.arn,
            "numResults": given.get("numResults", DEFAULT_RESULTS),
            **doc,
        },
    )


def unfinished(context: Context, group_id: str | None) -> Iterator[Resource]:
    """The dataset group's batch jobs that have not ended: what keeps the version and the filter that they use."""
    for kind in KINDS:
        for job in store.in_group(context.conn, group_id or "", kind):
            if job.status in store.UNFINISHED:
                yield job


def check_places(settings: Settings, given: Given) -> None:
    """Raise InvalidInput unless jobInput is a place to read from, and jobOutput another one to write to."""
    source, destination = given["jobInput"]["s3DataSource"]["path"], given["jobOutput"]["s3DataDestination"]
    check_source(settings, source, "jobInput.s3DataSource.path", "Invalid S3 input path. ")
    invalid = "Invalid S3 output path. "
    check_destination(settings, destination, invalid=invalid)
    if source.rstrip("/") == destination["path"].rstrip("/"):
        raise InvalidInput(
            f"{invalid}jobOutput.s3DataDestination.path {destination['path']!r} is the input's; give a folder of its own."
        )


def filter_of(context: Context, given: Given, version: Resource, target: Target) -> Resource | None:
    """The job's filter, locked, None if it has none; raises InvalidInput, ResourceNotFound, ResourceInUse unless ACTIVE."""
    if "filterArn" not in given:
        return None
    found = lookup.require(context, "Filter", given["filterArn"])
    if found.group_id != version.group_id:
        raise InvalidInput("filterArn: the filter belongs to another dataset group than the solution version.")
    says = kept(found.doc["filterExpression"], found.internal["columns"]).expressions[0].target
    if says != target:
        raise InvalidInput(f"filterArn: the filter is for {SPELLED[says]}, and the job answers with {SPELLED[target]}.")
    return lookup.lock_active(context, "Filter", found.arn)
