"""ListRecipes and DescribeRecipe: the catalogue as AWS shows it."""

from __future__ import annotations

from datetime import UTC, datetime

from pipelines.aws.errors import ResourceNotFound
from pipelines.control.context import Context, Given
from pipelines.control.views import DEFAULT_PAGE
from pipelines.recipes.catalogue import Recipe, recipe_by_arn, recipes
from pipelines.registry import paging

# Unlike AWS, resources: built-in recipes have one date of creation, that of the service. They have none of their own
# here.
RELEASED = datetime(2019, 6, 10, tzinfo=UTC)
"""Built-in recipes have no date of their own here."""


def require_recipe(arn: str) -> Recipe:
    """The recipe of that ARN; raises ResourceNotFound."""
    recipe = recipe_by_arn(arn)
    if recipe is None:
        raise ResourceNotFound(f"Resource Arn {arn} does not exist: no recipe has it; ListRecipes shows all.")
    return recipe


def describe_recipe(_context: Context, given: Given) -> Given:
    """One recipe, with its description and the ARNs of its algorithm and feature transformation."""
    return {"recipe": _view(require_recipe(given["recipeArn"]))}


def list_recipes(_context: Context, given: Given) -> Given:
    """By name; with `domain` only that domain's.

    Clients of domain groups read `nextToken` of the first answer without asking whether there is one (AWS pages
    before it filters). So an unbounded page of a domain ends in a token, whose page is empty.
    """
    domain = given.get("domain")
    scope = f"Recipe:{domain or ''}"
    after = paging.decode(given["nextToken"], scope, str)[0] if "nextToken" in given else ""
    left = [recipe for recipe in recipes().values() if recipe.name > after and domain in (None, recipe.domain)]
    shown = left[: given.get("maxResults", DEFAULT_PAGE)]
    goes_on = len(shown) < len(left) or (domain and shown and "maxResults" not in given)
    token = paging.encode(scope, shown[-1].name) if goes_on else None
    return {"recipes": [_view(recipe) for recipe in shown], "nextToken": token}


def _view(recipe: Recipe) -> Given:
    return {
        "name": recipe.name,
        "recipeArn": recipe.arn,
        "algorithmArn": recipe.algorithm_arn,
        "featureTransformationArn": recipe.feature_transformation_arn,
        "status": "ACTIVE",
        "description": recipe.description,
        "recipeType": recipe.recipe_type,
        "domain": recipe.domain,
        "creationDateTime": RELEASED,
        "lastUpdatedDateTime": RELEASED,
    }
