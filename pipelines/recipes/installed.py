"""Recipes that other Python packages bring, through the entry point group `openpersonalize.recipes`.

    [project.entry-points."openpersonalize.recipes"]
    also-bought = "our_recipes:ALSO_BOUGHT"

An entry point leads to a `Recipe` (catalogue.py), whose `family` names the code. One that cannot be used is logged with
its reason, and the others are there all the same.
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from pipelines.recipes.catalogue import (
    PERSONALIZED_RANKING,
    POPULAR_ITEMS,
    RELATED_ITEMS,
    USER_PERSONALIZATION,
    USER_SEGMENTATION,
    Recipe,
)
from pipelines.recipes.hyperparameters import Hyperparameter, HyperparameterError

log = logging.getLogger(__name__)

# Unlike AWS, resources: ListRecipes also shows recipes of your own Python packages, which train and serve like the
# others. AWS takes no models but its own.
GROUP = "openpersonalize.recipes"
NAME = re.compile(r"(?!aws-)[a-zA-Z0-9][a-zA-Z0-9\-_]{0,62}")
"""AWS's pattern of names; those that begin with aws- are ours."""
FAMILY = re.compile(r"[\w.]+:\w+")
TYPES = (USER_PERSONALIZATION, PERSONALIZED_RANKING, RELATED_ITEMS, POPULAR_ITEMS, USER_SEGMENTATION)
"""What the runtime can serve, and batch segment jobs."""


class UnusableRecipe(ValueError):
    """What an entry point leads to is no recipe; the message says why."""


@dataclass(frozen=True)
class Installed:
    """A recipe and the package that brings it."""

    recipe: Recipe
    distribution: str
    """`name==version`."""


@cache
def installed() -> tuple[Installed, ...]:
    """The usable recipes of all installed packages, by name; the search is done once a process."""
    found: dict[str, Installed] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            own = _loaded(entry)
            if own.recipe.name in found:
                raise UnusableRecipe(f"{found[own.recipe.name].distribution} has a recipe of this name")
        except Exception as error:  # noqa: BLE001  # anything may go wrong in somebody else's module
            log.error("the recipe %s (%s) is left out: %s: %s", entry.name, entry.value, type(error).__name__, error)
        else:
            found[own.recipe.name] = own
    return tuple(found.values())


def origin(recipe: Recipe) -> dict[str, str]:
    """What decides the bytes of a recipe from elsewhere: its package with version, and a digest of its source.

    Nothing for a recipe of ours, whose source `code_digest` covers.
    """
    own = next((own for own in installed() if own.recipe == recipe), None)
    if own is None:
        return {}
    return {"recipe": own.distribution, "recipe_digest": _source_digest((recipe.family or "").partition(":")[0])}


def _loaded(entry: EntryPoint) -> Installed:
    recipe = entry.load()
    if not isinstance(recipe, Recipe):
        raise UnusableRecipe(f"it is a {type(recipe).__name__}, not a Recipe of pipelines.recipes.catalogue")
    _check(recipe)
    return Installed(recipe, f"{entry.dist.name}=={entry.dist.version}" if entry.dist else "")


def _check(recipe: Recipe) -> None:
    if not NAME.fullmatch(recipe.name):
        raise UnusableRecipe(
            f"its name {recipe.name!r} must be 1 to 63 letters, digits, - or _, and not begin with aws-"
        )
    if recipe.recipe_type not in TYPES:
        raise UnusableRecipe(f"its type {recipe.recipe_type!r} is none of {', '.join(TYPES)}")
    if not FAMILY.fullmatch(recipe.family or ""):
        raise UnusableRecipe(f"its family {recipe.family!r} must be the code that fits it, as `module:Class`")
    if recipe.domain is not None:
        raise UnusableRecipe("domain use cases cannot be added")
    for parameter in recipe.hyperparameters:
        if not isinstance(parameter, Hyperparameter):
            raise UnusableRecipe(f"{parameter!r} among its hyperparameters is no Hyperparameter")
        try:
            parameter.check(parameter.default)
        except HyperparameterError as error:
            raise UnusableRecipe(f"the default of a hyperparameter: {error}") from error


def _source_digest(module: str) -> str:
    """sha256, hex, over the Python files of the package that `module` belongs to, or of the module alone."""
    spec = find_spec(module.partition(".")[0])
    places = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    files = sorted(file for place in places for file in place.rglob("*.py"))
    if spec and not files and spec.origin:
        files = [Path(spec.origin)]
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()
