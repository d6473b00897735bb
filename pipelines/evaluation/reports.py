"""How numbers are reported: JSON documents, rounded, so that the same training writes the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Report = Mapping[str, Any]
"""Numbers by name; `not_measurable`, alone, with the reason where there are none."""

DECIMALS = 6
NOT_MEASURABLE = "not_measurable"


class NotMeasurable(Exception):
    """The data or the recipe does not allow this measure; the message says why, in half a sentence."""


def not_measurable(why: str) -> Report:
    """The report of a measure that there is none of."""
    return {NOT_MEASURABLE: why}


def rounded(value: float) -> float:
    """As it is written: AWS's own metrics have 4 decimals (metrics.py), small probabilities need more."""
    return round(float(value), DECIMALS)
