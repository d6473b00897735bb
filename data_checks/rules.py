"""A rule: bounds on one number of an import's profile, and what it means when it lies outside.

A dataset group can set any rule anew (`openpersonalize checks`): its severity, or its bounds, or both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["critical", "warning"]
# Unlike AWS, data: an import is judged by more rules (milliseconds for seconds, the future, drift, duplicates), and
# critical ones fail it. What is wrong later is dearer; each rule can be set or turned off for a dataset group.
OFF = "off"
"""In place of a severity: the rule is not judged."""


@dataclass(frozen=True)
class Rule:
    """One number of the profile within bounds, the ends included; None: no bound on that side."""

    name: str
    number: str
    """Its name in `Profile.row`."""
    severity: Severity
    meaning: str
    """What it means when the number is out of bounds, and what to do."""
    minimum: float | None = None
    maximum: float | None = None
    is_share: bool = False
    unit: str = ""
    """Written behind the number: `days`."""
    is_overridden: bool = False
    """Whether the dataset group has set severity or bounds."""

    @property
    def bounds(self) -> str:
        """`at least 1,000`, `at most 1 %`."""
        ends = []
        if self.minimum is not None:
            ends.append(f"at least {self._bare(self.minimum)}")
        if self.maximum is not None:
            ends.append(f"at most {self._bare(self.maximum)}")
        return " and ".join(ends)

    def show(self, value: float) -> str:
        """The number as a person reads it."""
        return f"{self._bare(value)} {self.unit}".rstrip()

    def _bare(self, value: float) -> str:
        if self.is_share:
            percent = 100 * value
            return f"{percent:.0f} %" if percent == round(percent) else f"{percent:.3g} %"
        return f"{value:,.0f}" if value == round(value) else f"{value:,.3g}"


def share(name: str, number: str, meaning: str, maximum: float) -> Rule:
    """A warning when a share is above `maximum`."""
    return Rule(name, number, "warning", meaning, maximum=maximum, is_share=True)


def none(name: str, number: str, meaning: str) -> Rule:
    """A warning when there is any of something."""
    return Rule(name, number, "warning", meaning, maximum=0)


def overridden(rules: Iterable[Rule], overrides: Mapping[str, Mapping[str, Any]]) -> list[Rule]:
    """The rules as a dataset group has set them: {rule name: {"severity", "minimum"?, "maximum"?}}; those off are left out.

    Bounds that an override names take the place of both of the rule's own.
    """
    return [found for rule in rules if (found := _override(rule, overrides.get(rule.name))) is not None]


def _override(rule: Rule, override: Mapping[str, Any] | None) -> Rule | None:
    if override is None:
        return rule
    if override["severity"] == OFF:
        return None
    bounds = (rule.minimum, rule.maximum)
    if "minimum" in override or "maximum" in override:
        bounds = (override.get("minimum"), override.get("maximum"))
    return dataclasses.replace(
        rule, severity=override["severity"], minimum=bounds[0], maximum=bounds[1], is_overridden=True
    )
