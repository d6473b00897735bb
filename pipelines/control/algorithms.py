"""DescribeAlgorithm and DescribeFeatureTransformation: what recipes are made of, read off the catalogue.

An algorithm, or a feature transformation, is there because a recipe names it; several recipes may share one. It then
shows what its recipes can be told, of the first by name where they differ.
"""

from __future__ import annotations

from pipelines.aws.errors import ResourceNotFound
from pipelines.control.context import Context, Given
from pipelines.control.recipes import RELEASED
from pipelines.recipes.catalogue import recipes
from pipelines.recipes.hyperparameters import Group, Hyperparameter
from pipelines.recipes.ranges import whole_ranges


# Unlike AWS, resources: DescribeAlgorithm shows no algorithmImage, defaultResourceConfig, trainingInputMode and roleArn.
# Recipes are code of this platform, not images that run on rented machines.
def describe_algorithm(_context: Context, given: Given) -> Given:
    """Its hyperparameters with defaults and ranges; raises ResourceNotFound."""
    arn = given["algorithmArn"]
    told = _told(
        arn, "algorithm", [recipe.hyperparameters for recipe in recipes().values() if recipe.algorithm_arn == arn]
    )
    shown = {"defaultHyperParameters": _defaults(told), "defaultHyperParameterRanges": whole_ranges(told)}
    return {"algorithm": {**_common("algorithm", arn), **shown}}


def describe_feature_transformation(_context: Context, given: Given) -> Given:
    """Its parameters with defaults; raises ResourceNotFound."""
    arn = given["featureTransformationArn"]
    sharing = [one.hyperparameters for one in recipes().values() if one.feature_transformation_arn == arn]
    told = _told(arn, "featurization", sharing)
    shown = {"defaultParameters": _defaults(told), "status": "ACTIVE"}
    return {"featureTransformation": {**_common("featureTransformation", arn), **shown}}


def _told(arn: str, group: Group, sharing: list[tuple[Hyperparameter, ...]]) -> list[Hyperparameter]:
    """The hyperparameters of `group` of the recipes that share it, each name once."""
    if not sharing:
        raise ResourceNotFound(
            f"Resource Arn {arn} does not exist: no recipe names it; DescribeRecipe shows those it has."
        )
    found: dict[str, Hyperparameter] = {}
    for one in (one for parameters in sharing for one in parameters if one.group == group):
        found.setdefault(one.name, one)
    return list(found.values())


def _defaults(told: list[Hyperparameter]) -> dict[str, str]:
    return {one.name: one.format(one.default) for one in told}


def _common(member: str, arn: str) -> Given:
    name = arn.rpartition("/")[2]
    return {"name": name, f"{member}Arn": arn, "creationDateTime": RELEASED, "lastUpdatedDateTime": RELEASED}
