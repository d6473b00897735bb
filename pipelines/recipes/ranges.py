"""What hyperparameter optimisation searches: a solution's hpoConfig, read once (spec/training.md sections 1 and 5).

Named ranges are searched and nothing else; where none is named, every tunable hyperparameter of the recipe in its whole
range, except those that algorithmHyperParameters fixes. Naming a range for a fixed one is a contradiction.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipelines.recipes.catalogue import Recipe
from pipelines.recipes.hyperparameters import Hyperparameter, HyperparameterError, Kind

DEFAULT_TRIALS = 10
MOST_TRIALS = 40
# Unlike AWS, training: trials of performHPO run one at a time whatever maxParallelTrainingJobs says, and 10 of them
# unless maxNumberOfTrainingJobs says otherwise. The same search then finds the same, and a fit uses all threads
# anyway.
MOST_AT_ONCE = 10

_PREFIX = re.compile(r"(training|data|algorithm)\.")
"""DescribeSolution of AWS shows `training.bptt`; such names can be given as they were read."""
_JOBS = re.compile(r"\d{1,9}", re.ASCII)
_LISTS: Mapping[str, tuple[Kind, ...]] = {
    "integerHyperParameterRanges": ("integer",),
    "continuousHyperParameterRanges": ("continuous",),
    "categoricalHyperParameterRanges": ("categorical", "boolean"),
}
_LIST_OF: Mapping[Kind, str] = {kind: name for name, kinds in _LISTS.items() for kind in kinds}

_AS_AWS = {"minimum": "minValue", "maximum": "maxValue", "values": "values"}


@dataclass(frozen=True)
class Search:
    """How many trials there are, and where they look."""

    trials: int
    ranges: tuple[Hyperparameter, ...]
    """What is searched, in the recipe's order, each narrowed to its range; booleans carry their `values` too."""

    def to_params(self) -> dict[str, Any]:
        """As params.yaml has it."""
        return {"trials": self.trials, "ranges": {one.name: _bounds(one) for one in self.ranges}}

    @classmethod
    def from_params(cls, recipe: Recipe, params: Mapping[str, Any]) -> Search:
        """What `to_params` wrote."""
        ranges = (
            _narrowed(parameter, **params["ranges"][parameter.name])
            for parameter in recipe.hyperparameters
            if parameter.name in params["ranges"]
        )
        return cls(params["trials"], tuple(ranges))


def read_search(recipe: Recipe, config: Mapping[str, Any], fixed: Mapping[str, str]) -> Search:
    """`hpoConfig`, its defaults filled in; `fixed` is the solution's algorithmHyperParameters.

    Raises HyperparameterError naming the member and its rule.
    """
    if config.get("hpoObjective"):
        raise HyperparameterError(
            "hpoConfig.hpoObjective: is not supported; what is maximised is NDCG@25 of users who did not train."
        )
    resources = config.get("hpoResourceConfig") or {}
    trials = _jobs(resources, "maxNumberOfTrainingJobs", MOST_TRIALS)
    # An upper bound that one trial at a time keeps: side by side, what a trial tries would depend on which other ended
    # first, and a fit uses all threads anyway.
    _jobs(resources, "maxParallelTrainingJobs", MOST_AT_ONCE)
    tunable = {parameter.name: _whole(parameter) for parameter in recipe.hyperparameters if parameter.tunable}
    given = config.get("algorithmHyperParameterRanges") or {}
    named = {one.name: one for one in _named(given, tunable, recipe)}
    both = sorted(named.keys() & fixed.keys())
    if both:
        raise HyperparameterError(
            f"hpoConfig.algorithmHyperParameterRanges: {both[0]} is fixed by algorithmHyperParameters; give its value or "
            "its range, not both."
        )
    searched = named or {name: parameter for name, parameter in tunable.items() if name not in fixed}
    if not searched:
        why = "algorithmHyperParameters fixes all that can be tuned" if tunable else f"{recipe.name} has none to tune"
        raise HyperparameterError(f"hpoConfig: nothing can be searched, because {why}.")
    return Search(trials or DEFAULT_TRIALS, tuple(searched[name] for name in tunable if name in searched))


def whole_ranges(parameters: Iterable[Hyperparameter]) -> dict[str, list[dict[str, Any]]]:
    """The whole range of each that has two finite ends or values, in AWS's three lists; all of them, tunable or not."""
    found: dict[str, list[dict[str, Any]]] = {member: [] for member in _LISTS}
    for one in map(_whole, parameters):
        if one.values or math.isfinite(one.maximum - one.minimum):
            renamed = {_AS_AWS[key]: value for key, value in _bounds(one).items()}
            found[_LIST_OF[one.kind]].append({"name": one.name, **renamed, "isTunable": one.tunable})
    return found


def _jobs(resources: Mapping[str, str], member: str, most: int) -> int | None:
    given = resources.get(member)
    if given is None:
        return None
    if not _JOBS.fullmatch(given) or not 1 <= int(given) <= most:
        raise HyperparameterError(
            f"hpoConfig.hpoResourceConfig.{member}: {given!r} is not a whole number from 1 to {most}."
        )
    return int(given)


def _named(
    given: Mapping[str, list[dict[str, Any]]], tunable: Mapping[str, Hyperparameter], recipe: Recipe
) -> Iterator[Hyperparameter]:
    seen: set[str] = set()
    for member, kinds in _LISTS.items():
        at = f"hpoConfig.algorithmHyperParameterRanges.{member}"
        for entry in given.get(member) or []:
            if "name" not in entry:
                raise HyperparameterError(f"{at}: every range needs a name.")
            name = _PREFIX.sub("", entry["name"], count=1)
            parameter = tunable.get(name)
            if parameter is None:
                known = ", ".join(sorted(tunable)) or "none"
                raise HyperparameterError(
                    f"{at}: {entry['name']!r} cannot be tuned in {recipe.name}; those that can: {known}."
                )
            if parameter.kind not in kinds:
                raise HyperparameterError(f"{at}: {name} is {parameter.kind}; give it in {_LIST_OF[parameter.kind]}.")
            if name in seen:
                raise HyperparameterError(f"{at}: {name} is given twice.")
            seen.add(name)
            try:
                yield _of_values(parameter, entry) if "categorical" in kinds else _of_bounds(parameter, entry)
            except HyperparameterError as error:
                raise HyperparameterError(f"{at}: {error}") from None


def _of_bounds(parameter: Hyperparameter, entry: Mapping[str, Any]) -> Hyperparameter:
    """A missing bound is the recipe's."""
    low, high = entry.get("minValue", parameter.minimum), entry.get("maxValue", parameter.maximum)
    for bound in (low, high):
        parameter.check(bound)
    if low > high:
        raise HyperparameterError(f"{parameter.name}: minValue {low:g} is more than maxValue {high:g}.")
    return replace(parameter, minimum=low, maximum=high)


def _of_values(parameter: Hyperparameter, entry: Mapping[str, Any]) -> Hyperparameter:
    values = {parameter.format(parameter.parse(text)): None for text in entry.get("values") or []}
    if not values:
        raise HyperparameterError(f"{parameter.name}: values must hold at least one value.")
    return replace(parameter, values=tuple(values))


def _whole(parameter: Hyperparameter) -> Hyperparameter:
    return replace(parameter, values=("True", "False")) if parameter.kind == "boolean" else parameter


def _narrowed(
    parameter: Hyperparameter, minimum: float = -math.inf, maximum: float = math.inf, values: Sequence[str] = ()
) -> Hyperparameter:
    return replace(parameter, minimum=minimum, maximum=maximum, values=tuple(values))


def _bounds(one: Hyperparameter) -> dict[str, Any]:
    if one.values:
        return {"values": list(one.values)}
    bound = int if one.kind == "integer" else float
    return {"minimum": bound(one.minimum), "maximum": bound(one.maximum)}
