"""A rule: bounds on one number of an import's profile, and what it means when it lies outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pipelines.datasets.schema import Schema

Severity = Literal["critical", "warning"]

MAX_REJECTED_SHARE = 0.01
"""More than this share of rejected rows fails an import."""
MIN_FILLED = 0.70
MIN_FILLED_TEXT = 0.85
MAX_CATEGORIES = 30
MAX_DUPLICATE_SHARE = 0.05


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

    @property
    def bounds(self) -> str:
        """`at least 1,000`, `at most 1 %`."""
        ends = []
        if self.minimum is not None:
            ends.append(f"at least {self.show(self.minimum)}")
        if self.maximum is not None:
            ends.append(f"at most {self.show(self.maximum)}")
        return " and ".join(ends)

    def show(self, value: float) -> str:
        """The number as a person reads it."""
        if self.is_share:
            percent = 100 * value
            return f"{percent:.0f} %" if percent == round(percent) else f"{percent:.3g} %"
        return f"{value:,.0f}" if value == round(value) else f"{value:,.3g}"


def for_any_type(schema: Schema) -> list[Rule]:
    """Rules that hold for every dataset type."""
    rules = [
        Rule(
            "rejected rows",
            "rejected_share",
            "critical",
            "Too many rows could not be read. Mend the rows that are listed, or leave them out, and import again.",
            maximum=MAX_REJECTED_SHARE,
            is_share=True,
        ),
        Rule(
            "no rejected rows",
            "rejected",
            "warning",
            "Some rows were left out; rejects.parquet lists each with file, line, column and reason.",
            maximum=0,
        ),
    ]
    if any(field.categorical for field in schema.fields):
        rules.append(
            Rule(
                "categorical values of at most 1,000 characters",
                "too_long_categories",
                "critical",
                "Shorten the values, or make the field textual.",
                maximum=0,
            )
        )
    return rules + [_filled(field.name, textual=field.textual) for field in schema.metadata if field.nullable]


def _filled(column: str, *, textual: bool) -> Rule:
    least = MIN_FILLED_TEXT if textual else MIN_FILLED
    meaning = (
        "A text column this empty is not used in training."
        if textual
        else "A column this empty teaches little; fill it, or leave it out of the schema."
    )
    return Rule(f"{column} is filled", f"filled:{column}", "warning", meaning, minimum=least, is_share=True)


def for_metadata(schema: Schema) -> list[Rule]:
    """Rules that items and users share."""
    rules = [
        Rule("minimum rows", "rows", "critical", "The files hold no usable row.", minimum=1),
        Rule(
            "each id once",
            "duplicates",
            "warning",
            "Several rows had the same id; only the last of each, in the order of the files, was kept.",
            maximum=0,
        ),
    ]
    for field in schema.fields:
        if field.categorical:
            rules.append(
                Rule(
                    f"categories of {field.name}",
                    f"categories:{field.name}",
                    "warning",
                    "So many categories are fine in filters, but hard to learn from.",
                    maximum=MAX_CATEGORIES,
                )
            )
    return rules + for_any_type(schema)
