"""What batch inference jobs and batch segment jobs share: which version answers, where files come from and go to.

A job hangs on its solution version, cannot be deleted, and goes with the version's solution, which it keeps from being
deleted while it is unfinished.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pipelines.aws.errors import InvalidInput
from pipelines.control import lookup
from pipelines.control.context import Context, Given
from pipelines.control.creation import create, members
from pipelines.control.locations import check_destination, check_source
from pipelines.control.recipes import require_recipe
from pipelines.control.solution_versions import active_version
from pipelines.recipes.catalogue import Recipe
from pipelines.registry import store
from pipelines.registry.store import Resource

DEFAULT_RESULTS = 25
"""AWS's, of each line."""


def version_of(context: Context, given: Given, recipe_types: Collection[str], use: str) -> tuple[Resource, Recipe]:
    """The ACTIVE version that answers, locked, and its recipe, whose type must be one of these.

    `use` says what else there is for other types. Raises ResourceNotFound, ResourceInUse, InvalidInput.
    """
    version = active_version(context, given["solutionVersionArn"])
    recipe = require_recipe(version.doc["recipeArn"])
    if recipe.recipe_type not in recipe_types:
        raise InvalidInput(
            f"solutionVersionArn: {recipe.name} is of type {recipe.recipe_type}; "
            f"the job needs a version of type {' or '.join(recipe_types)}. {use}"
        )
    return version, recipe


def create_job(context: Context, kind: str, given: Given, version: Resource, most_results: int, **doc: Any) -> Resource:
    """A job of `kind` on the version, CREATE PENDING; raises InvalidInput, ResourceNotFound, ResourceInUse."""
    count = given.get("numResults", DEFAULT_RESULTS)
    if not 1 <= count <= most_results:
        raise InvalidInput(f"numResults must be 1 to {most_results}, not {count}.")
    _check_places(context, given)
    if "filterArn" in given:
        _check_filter(context, given["filterArn"], version)
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
            "numResults": count,
            **doc,
        },
    )


def _check_places(context: Context, given: Given) -> None:
    source, destination = given["jobInput"]["s3DataSource"]["path"], given["jobOutput"]["s3DataDestination"]
    check_source(context.settings, source, "jobInput.s3DataSource.path", "Invalid S3 input path. ")
    invalid = "Invalid S3 output path. "
    check_destination(context.settings, destination, invalid=invalid)
    if source.rstrip("/") == destination["path"].rstrip("/"):
        raise InvalidInput(
            f"{invalid}jobOutput.s3DataDestination.path {destination['path']!r} is the input's; give a folder of its own."
        )


def _check_filter(context: Context, arn: str, version: Resource) -> None:
    found = lookup.require(context, "Filter", arn)
    if found.group_id != version.group_id:
        raise InvalidInput("filterArn: the filter belongs to another dataset group than the solution version.")
    lookup.lock_active(context, "Filter", arn)
