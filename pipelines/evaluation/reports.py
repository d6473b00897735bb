"""How numbers are reported: JSON documents, rounded, so that the same training writes the same bytes."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
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


def write_json(path: Path, document: Report) -> None:
    """Write a report beside its place, then rename it: a killed stage leaves no half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}")
    new.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    new.replace(path)


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Report]) -> None:
    """The same of a table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}")
    with new.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    new.replace(path)
