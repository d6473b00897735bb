"""What a recipe can be told: typed hyperparameters with range and default (spec/recipes.md).

AWS writes all of them as strings in `algorithmHyperParameters` and `featureTransformationParameters`; here a string
becomes a value once, or an error that names the hyperparameter, the value and the rule.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from pipelines.aws.numbers import decimal_number

Value = int | float | bool | str
Kind = Literal["integer", "continuous", "boolean", "categorical"]
Group = Literal["algorithm", "featurization"]

_WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)


class HyperparameterError(ValueError):
    """A hyperparameter is unknown or its value cannot be used; becomes InvalidInput."""


@dataclass(frozen=True)
class Hyperparameter:
    """One hyperparameter of one recipe."""

    name: str
    kind: Kind
    default: Value
    minimum: float = -math.inf
    maximum: float = math.inf
    """Both ends are allowed values."""
    values: tuple[str, ...] = ()
    """The allowed values of a categorical one."""
    tunable: bool = False
    """Whether hyperparameter optimisation may search it: an algorithm hyperparameter with two finite ends or values."""
    group: Group = "algorithm"
    """`algorithm`: solutionConfig.algorithmHyperParameters; `featurization`: featureTransformationParameters."""

    def __post_init__(self) -> None:
        numeric = self.kind in ("integer", "continuous")
        bounded = not numeric or math.isfinite(self.maximum - self.minimum)
        if self.tunable and (not bounded or self.group != "algorithm"):
            raise ValueError(f"{self.name}: what is tunable must be of group algorithm and have two finite ends")

    def parse(self, text: str) -> Value:
        """The value that `text` stands for; raises HyperparameterError."""
        value = _PARSERS[self.kind](text.strip())
        if value is None:
            raise HyperparameterError(f"{self.name}: {text!r} is not {_WANTED[self.kind]}.")
        return self.check(value)

    def check(self, value: Value) -> Value:
        """`value` itself if it lies in the range; raises HyperparameterError."""
        if self.kind in ("integer", "continuous") and not self.minimum <= float(value) <= self.maximum:
            raise HyperparameterError(f"{self.name}: {value} is outside {self.range_text}.")
        if self.kind == "categorical" and value not in self.values:
            raise HyperparameterError(f"{self.name}: {value!r} is not one of {', '.join(self.values)}.")
        return value

    @property
    def range_text(self) -> str:
        """`[32, 256]`, as a person reads it."""
        number = int if self.kind == "integer" and math.isfinite(self.maximum) else float
        return f"[{number(self.minimum):g}, {number(self.maximum):g}]"

    def format(self, value: Value) -> str:
        """The string that AWS shows for `value` (`True`, `0.99`, `149`)."""
        return str(value)


def parse_all(declared: Iterable[Hyperparameter], given: Mapping[str, str], group: Group) -> dict[str, Value]:
    """Every hyperparameter of `group` with its given value or default.

    Raises HyperparameterError for an unknown name, a value out of its range, and a min_… that exceeds its max_….
    """
    known = {parameter.name: parameter for parameter in declared if parameter.group == group}
    unknown = sorted(set(given) - set(known))
    if unknown:
        allowed = ", ".join(sorted(known)) or "none"
        raise HyperparameterError(f"Unknown hyperparameter {unknown[0]!r} for this recipe; known: {allowed}.")
    values = {name: p.parse(given[name]) if name in given else p.default for name, p in known.items()}
    for low in values:
        high = low.replace("min_", "max_", 1)
        if low.startswith("min_") and high in values and float(values[low]) > float(values[high]):
            raise HyperparameterError(f"{low}: {values[low]} is more than {high}, which is {values[high]}.")
    return values


def _integer(text: str) -> int | None:
    return int(text) if _WHOLE.fullmatch(text) else None


def _boolean(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


_PARSERS: dict[Kind, Callable[[str], Value | None]] = {
    "integer": _integer,
    "continuous": decimal_number,
    "boolean": _boolean,
    "categorical": str,
}
_WANTED = {"integer": "a whole number", "continuous": "a number", "boolean": "True or False", "categorical": "a value"}
