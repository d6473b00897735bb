"""A version's params.yaml: everything besides the data that decides what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.recipes import catalogue
from pipelines.recipes.hyperparameters import HyperparameterError
from pipelines.recipes.installed import origin
from pipelines.recipes.ranges import read_search
from pipelines.recipes.training_columns import ColumnError, training_columns
from pipelines.versions.errors import VersionFailed
from pipelines.versions.lookup import Subject

SEED = 0
THREADS = 2
"""Of a training; part of the parameters because sums in another order are other bytes."""


def params(subject: Subject, code: Mapping[str, str]) -> dict[str, Any]:
    """Parameters of the stages for this version; `code` is {version, digest, lock} of what runs them.

    DVC sees no installed code: without the digest a stage of older code would be taken from the run cache.
    Raises VersionFailed for a configuration that its recipe does not allow.
    """
    doc = {**subject.solution.doc, **subject.version.doc}
    config = doc.get("solutionConfig") or {}
    recipe = recipe_of(subject)
    try:
        hyperparameters = recipe.algorithm_values(config.get("algorithmHyperParameters") or {})
        featurization = recipe.featurization_values(config.get("featureTransformationParameters") or {})
        hpo = _search(recipe, config) if doc.get("performHPO") else None
        columns = training_columns(subject.solution.internal.get("columns", {}), config)
    except (HyperparameterError, ColumnError) as error:
        raise VersionFailed(str(error)) from error
    threshold = config.get("eventValueThreshold")
    return {
        "code": {**code, **origin(recipe)},
        "solution": {
            "recipe": recipe.name,
            "event_type": doc.get("eventType"),
            "event_value_threshold": float(threshold) if threshold not in (None, "") else None,
            "columns": columns,
        },
        "hyperparameters": hyperparameters,
        "featurization": featurization,
        "hpo": hpo,
        "training": {"seed": SEED, "threads": THREADS},
    }


def recipe_of(subject: Subject) -> catalogue.Recipe:
    """What the version is trained by; raises VersionFailed."""
    arn = {**subject.solution.doc, **subject.version.doc}["recipeArn"]
    recipe = catalogue.recipe_by_arn(arn)
    if recipe is None:
        raise VersionFailed(f"Recipe {arn} is not known; create a solution with one of ListRecipes.")
    return recipe


def _search(recipe: catalogue.Recipe, config: Mapping[str, Any]) -> dict[str, Any]:
    fixed = config.get("algorithmHyperParameters") or {}
    return read_search(recipe, config.get("hpoConfig") or {}, fixed).to_params()
