"""What CreateSolution accepts: recipe, hyperparameters and the members of solutionConfig (spec/training.md section 1).

What is accepted is honoured by the training; what it does not honour yet is refused by name.
"""

from __future__ import annotations

import math
import re

from pipelines.aws.errors import InvalidInput
from pipelines.aws.numbers import decimal_number
from pipelines.control.context import Given
from pipelines.control.recipes import require_recipe
from pipelines.control.unavailable import refuse_unavailable
from pipelines.recipes.catalogue import Recipe
from pipelines.recipes.hyperparameters import HyperparameterError

_RATE = re.compile(r"rate\((\d+) days?\)", re.ASCII)


def check_solution(given: Given) -> Recipe:
    """The recipe of a CreateSolution request; raises InvalidInput naming member and rule, ResourceNotFound."""
    recipe = _recipe(given)
    if given.get("performIncrementalUpdate") and recipe.name != "aws-semantic-similarity":
        raise InvalidInput("performIncrementalUpdate: only aws-semantic-similarity can be updated incrementally.")
    refuse_unavailable(
        performHPO=given.get("performHPO"), performIncrementalUpdate=given.get("performIncrementalUpdate")
    )
    _check_config(given.get("solutionConfig", {}), recipe)
    return recipe


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
    columns = config.get("trainingDataConfig", {})
    refuse_unavailable(
        "solutionConfig.",
        eventsConfig=config.get("eventsConfig", {}).get("eventParametersList"),
        optimizationObjective=objective and objective.get("objectiveSensitivity") != "OFF",
    )
    refuse_unavailable("solutionConfig.trainingDataConfig.", **columns)
    _check_hyperparameters(config, recipe)
    if "eventValueThreshold" in config:
        check_number("solutionConfig.eventValueThreshold", config["eventValueThreshold"])
    if "autoTrainingConfig" in config:
        check_schedule(config["autoTrainingConfig"].get("schedulingExpression", "rate(7 days)"))


def _check_hyperparameters(config: Given, recipe: Recipe) -> None:
    for member, read in (
        ("algorithmHyperParameters", recipe.algorithm_values),
        ("featureTransformationParameters", recipe.featurization_values),
    ):
        try:
            read(config.get(member, {}))
        except HyperparameterError as refused:
            raise InvalidInput(f"solutionConfig.{member}: {refused}") from None


def check_schedule(expression: str) -> None:
    """Raise InvalidInput unless automatic training is asked for every 1 to 30 days."""
    rate = _RATE.fullmatch(expression)
    if rate is None or not 1 <= int(rate[1]) <= 30:
        raise InvalidInput(
            f"solutionConfig.autoTrainingConfig.schedulingExpression: {expression!r} must be rate(N days), N 1 to 30."
        )


def check_number(member: str, given: str, least: float = -math.inf, most: float = math.inf) -> float:
    """The number that a string member holds; raises InvalidInput outside [least, most]."""
    number = decimal_number(given)
    if number is None or not least <= number <= most:
        rule = "" if most == math.inf == -least else f" in [{least:g}, {most:g}]"
        raise InvalidInput(f"{member}: {given!r} is not a number{rule}.")
    return number
