"""Recommenders: a domain group's use case, trained, served and kept up by the platform itself.

An operation writes what is wanted, and the reconciler takes it from there: creation in platform/unavailable.py until a
recipe of a use case can be trained, the other transitions in platform/recommenders.py. `internal["metrics"]` is where a
training puts what DescribeRecommender shows as modelMetrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.aws.errors import InvalidInput, ResourceInUse
from pipelines.control import lookup, views
from pipelines.control.context import Context, Given
from pipelines.control.creation import create
from pipelines.control.datasets import columns
from pipelines.control.exploration import check_exploration
from pipelines.control.recipes import require_recipe
from pipelines.control.solution_config import Columns, check_training_columns
from pipelines.recipes.catalogue import Recipe
from pipelines.registry import store, wishes
from pipelines.registry.store import Resource

UPDATE = "latestRecommenderUpdate"
DEFAULTS: Mapping[str, Any] = {"minRecommendationRequestsPerSecond": 1}

list_all = views.listing("Recommender", "recommenders", within="DatasetGroup")
delete = views.deleting("Recommender", lambda _context, _recommender: ())


def create_recommender(context: Context, given: Given) -> Given:
    """CREATE PENDING until it is trained; raises InvalidInput unless the recipe is one of the group's domain.

    `internal["columns"]` as of a solution: what UpdateDataset adds later is left out of its trainings.
    """
    group = lookup.lock_active(context, "DatasetGroup", given["datasetGroupArn"])
    recipe, now = _recipe(given["recipeArn"], group), columns(context, group)
    config = given.get("recommenderConfig", {})
    _check_config(config, recipe, now)
    made = create(
        context,
        "Recommender",
        given,
        status=store.CREATE_PENDING,
        group=group,
        doc={
            "datasetGroupArn": group.arn,
            "recipeArn": recipe.arn,
            "recommenderConfig": {**DEFAULTS, **config},
        },
        internal={"columns": now},
    )
    wishes.wake_reconciler(context.conn)
    return {"recommenderArn": made.arn}


def describe_recommender(context: Context, given: Given) -> Given:
    """With the metrics of its training, unless it is being created or deleted."""
    recommender = lookup.require(context, "Recommender", given["recommenderArn"])
    made = recommender.status not in (store.CREATE_PENDING, store.CREATE_IN_PROGRESS, *store.DELETING)
    metrics = recommender.internal.get("metrics") if made else None
    return {"recommender": {**views.view(recommender), "modelMetrics": metrics}}


def update_recommender(context: Context, given: Given) -> Given:
    """The whole configuration is replaced; the old one serves until the new one is ACTIVE."""
    recommender = _in_state(context, given, store.ACTIVE)
    group, recipe = lookup.group_of(context, recommender), require_recipe(recommender.doc["recipeArn"])
    config = given["recommenderConfig"]
    _check_config(config, recipe, columns(context, group))
    now = round(context.now.timestamp(), 3)
    latest = {
        "recommenderConfig": {**DEFAULTS, **config},
        "status": store.CREATE_PENDING,
        "creationDateTime": now,
        "lastUpdatedDateTime": now,
    }
    store.update(context.conn, recommender.id, doc={UPDATE: latest})
    wishes.wake_reconciler(context.conn)
    return {"recommenderArn": recommender.arn}


def stop_recommender(context: Context, given: Given) -> Given:
    """It answers no more and is not retrained until it is started again."""
    return _move(context, _in_state(context, given, store.ACTIVE), store.STOP_PENDING)


def start_recommender(context: Context, given: Given) -> Given:
    """It answers again with the model that it had."""
    return _move(context, _in_state(context, given, store.INACTIVE), store.START_PENDING)


def _move(context: Context, recommender: Resource, status: str) -> Given:
    store.update(context.conn, recommender.id, status=status)
    wishes.wake_reconciler(context.conn)
    return {"recommenderArn": recommender.arn}


def _in_state(context: Context, given: Given, status: str) -> Resource:
    """The recommender, locked; raises ResourceNotFound, ResourceInUse in another state or while it is being updated."""
    recommender = lookup.lock(context, "Recommender", given["recommenderArn"])
    if recommender.status != status:
        raise ResourceInUse(f"{recommender.arn} is {recommender.status}; it must be {status}.")
    update = recommender.doc.get(UPDATE, {})
    if update.get("status") in store.UNFINISHED:
        raise ResourceInUse(f"{recommender.arn} is being updated: {update['status']}.")
    return recommender


def _recipe(arn: str, group: Resource) -> Recipe:
    recipe, domain = require_recipe(arn), group.doc.get("domain")
    if domain is None:
        raise InvalidInput(
            "datasetGroupArn: a recommender needs a dataset group with a domain; for a custom group create a solution."
        )
    if recipe.domain is None:
        raise InvalidInput(f"recipeArn: {recipe.name} is a custom recipe; create a solution with it.")
    if recipe.domain != domain:
        raise InvalidInput(f"recipeArn: {recipe.name} is a use case of {recipe.domain}, the dataset group is {domain}.")
    return recipe


def _check_config(config: Given, recipe: Recipe, there: Columns) -> None:
    member = "recommenderConfig"
    check_exploration(member, config)
    if config.get("itemExplorationConfig") and not recipe.explores:
        raise InvalidInput(f"{member}.itemExplorationConfig: {recipe.name} does not explore new items.")
    check_training_columns(member, config, there)
