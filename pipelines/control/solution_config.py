"""What CreateSolution accepts: recipe, hyperparameters and the members of solutionConfig (spec/training.md section 1).

What is accepted is honoured by the training; what it does not honour yet is refused by name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from pipelines.aws.errors import InvalidInput
from pipelines.aws.numbers import decimal_number
from pipelines.aws.unavailable import refuse_unavailable
from pipelines.control.context import Given
from pipelines.control.recipes import require_recipe
from pipelines.datasets.schema import EVENT_TYPE, EVENT_VALUE
from pipelines.recipes.catalogue import Recipe
from pipelines.recipes.hyperparameters import HyperparameterError
from pipelines.recipes.ranges import read_search
from pipelines.recipes.training_columns import ColumnError, training_columns

_RATE = re.compile(r"rate\((\d+) days?\)", re.ASCII)


Columns = Mapping[str, Sequence[str]]
"""By dataset type the columns of the group's datasets."""


def check_solution(given: Given, columns: Columns) -> Recipe:
    """The recipe of a CreateSolution request; raises InvalidInput naming member and rule, ResourceNotFound.

    What needs a dataset that the group does not have yet is checked when a version is trained.
    """
    recipe = _recipe(given)
    _check_incremental_update(given, recipe.arn)
    config = given.get("solutionConfig", {})
    _check_config(config, recipe)
    _check_search(given.get("performHPO", False), config, recipe)
    _check_columns(given.get("eventType"), config, columns)
    return recipe


def check_update(given: Given, recipe_arn: str) -> None:
    """Raise InvalidInput naming the member of an UpdateSolution request that cannot be honoured."""
    _check_incremental_update(given, recipe_arn)
    config = given.get("solutionUpdateConfig", {})
    refuse_unavailable("solutionUpdateConfig.", eventsConfig=config.get("eventsConfig", {}).get("eventParametersList"))
    _check_schedule("solutionUpdateConfig", config.get("autoTrainingConfig", {}))


def _check_incremental_update(given: Given, recipe_arn: str) -> None:
    if given.get("performIncrementalUpdate") and not recipe_arn.endswith("/aws-semantic-similarity"):
        raise InvalidInput("performIncrementalUpdate: only aws-semantic-similarity can be updated incrementally.")
    refuse_unavailable(performIncrementalUpdate=given.get("performIncrementalUpdate"))


def _recipe(given: Given) -> Recipe:
    if given.get("performAutoML"):
        if "recipeArn" in given:
            raise InvalidInput("recipeArn: must be absent when performAutoML is true.")
        refuse_unavailable(performAutoML=True)
    if "recipeArn" not in given:
        raise InvalidInput("recipeArn: is required unless performAutoML is true.")
    recipe = require_recipe(given["recipeArn"])
    if recipe.domain is not None:
        raise InvalidInput(f"recipeArn: {recipe.name} is a use case of {recipe.domain}; use CreateRecommender for it.")
    return recipe


def _check_config(config: Given, recipe: Recipe) -> None:
    if config.get("autoMLConfig"):
        raise InvalidInput("solutionConfig.autoMLConfig: needs performAutoML.")
    objective = config.get("optimizationObjective", {})
    refuse_unavailable(
        "solutionConfig.",
        eventsConfig=config.get("eventsConfig", {}).get("eventParametersList"),
        optimizationObjective=objective and objective.get("objectiveSensitivity") != "OFF",
    )
    _check_hyperparameters(config, recipe)
    if "eventValueThreshold" in config:
        check_number("solutionConfig.eventValueThreshold", config["eventValueThreshold"])
    _check_schedule("solutionConfig", config.get("autoTrainingConfig", {}))


def _check_hyperparameters(config: Given, recipe: Recipe) -> None:
    for member, read in (
        ("algorithmHyperParameters", recipe.algorithm_values),
        ("featureTransformationParameters", recipe.featurization_values),
    ):
        try:
            read(config.get(member, {}))
        except HyperparameterError as refused:
            raise InvalidInput(f"solutionConfig.{member}: {refused}") from None


def _check_search(wanted: bool, config: Given, recipe: Recipe) -> None:
    """hpoConfig without performHPO is searched by nobody, and must be right all the same."""
    if wanted and not any(parameter.tunable for parameter in recipe.hyperparameters):
        raise InvalidInput(f"performHPO: {recipe.name} has no hyperparameter that can be tuned.")
    hpo = config.get("hpoConfig", {})
    if wanted or hpo:
        try:
            read_search(recipe, hpo, config.get("algorithmHyperParameters", {}))
        except HyperparameterError as refused:
            raise InvalidInput(f"solutionConfig.{refused}") from None


def check_training_columns(member: str, config: Given, columns: Columns) -> None:
    """Raise InvalidInput naming what is wrong with the trainingDataConfig of the configuration `member`."""
    try:
        training_columns(columns, config)
    except ColumnError as refused:
        raise InvalidInput(f"{member}.trainingDataConfig.{refused}") from None


def _check_columns(event_type: str | None, config: Given, columns: Columns) -> None:
    check_training_columns("solutionConfig", config, columns)
    needed = (
        ("eventType", event_type, EVENT_TYPE),
        ("solutionConfig.eventValueThreshold", config.get("eventValueThreshold"), EVENT_VALUE),
    )
    for member, value, column in needed:
        if value is not None and column not in columns.get("INTERACTIONS", [column]):
            raise InvalidInput(f"{member}: the Interactions dataset has no column {column}.")


def _check_schedule(member: str, auto_training: Given) -> None:
    """Raise InvalidInput unless automatic training is asked for every 1 to 30 days, or without saying how often."""
    expression = auto_training.get("schedulingExpression")
    if expression is not None and rate_in_days(expression) not in range(1, 31):
        raise InvalidInput(
            f"{member}.autoTrainingConfig.schedulingExpression: {expression!r} must be rate(N days), N 1 to 30."
        )


def rate_in_days(expression: str) -> int:
    """The N of `rate(N days)`; 0 when it is something else."""
    rate = _RATE.fullmatch(expression)
    return int(rate[1]) if rate else 0


def check_number(member: str, given: str, least: float = -math.inf, most: float = math.inf) -> float:
    """The number that a string member holds; raises InvalidInput outside [least, most]."""
    number = decimal_number(given)
    if number is None or not least <= number <= most:
        rule = "" if most == math.inf == -least else f" in [{least:g}, {most:g}]"
        raise InvalidInput(f"{member}: {given!r} is not a number{rule}.")
    return number
