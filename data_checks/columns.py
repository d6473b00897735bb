"""Rules that follow from a schema's fields, whatever the dataset type (spec: datasets.md sections 3 and 12)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_checks.rules import Rule, none, share

if TYPE_CHECKING:
    from pipelines.datasets.schema import Field, Schema

# Unlike AWS, data: a row that does not fit the schema is left out and listed with line, column and reason, and an
# import fails above 1 % of them. AWS does not say what it does with such rows, and one of a million should not cost a
# night.
MAX_REJECTED_SHARE = 0.01
"""More than this share of rejected rows fails an import."""
MIN_FILLED = 0.70
MIN_FILLED_TEXT = 0.85
MAX_CATEGORIES = 30
MAX_FILLED_CHANGE = 0.20
MAX_PSI = 0.25
"""Population stability index: below 0.1 hardly a change, above 0.25 another population."""
MAX_MEDIAN_CHANGE = 1.0
TIMES = ("TIMESTAMP", "CREATION_TIMESTAMP", "ACTION_EXPIRATION_TIMESTAMP")


def conformance(schema: Schema) -> list[Rule]:
    """Whether the rows are what the schema says."""
    rules = [
        Rule(
            "rejected rows",
            "rejected_share",
            "critical",
            "Too many rows could not be read. Mend the rows that are listed, or leave them out, and import again.",
            maximum=MAX_REJECTED_SHARE,
            is_share=True,
        ),
        none(
            "no rejected rows",
            "rejected",
            "Some rows were left out; rejects.parquet lists each with file, line, column and reason.",
        ),
    ]
    if any(field.categorical for field in schema.fields):
        meaning = (
            "One such value fails the whole import, as in Amazon Personalize: shorten it, or make the field textual."
        )
        name = "categorical values of at most 1,000 characters"
        rules.append(Rule(name, "too_long_categories", "critical", meaning, maximum=0))
    return rules


def fields(schema: Schema) -> list[Rule]:
    """Advice on every field that is not an id."""
    return [rule for field in schema.metadata for rule in _field(field)]


def _field(field: Field) -> list[Rule]:
    rules = [_filled(field), _same_filled(field)] if field.nullable else []
    if field.textual:
        rules.append(_text(field))
    elif field.categorical or field.name == "EVENT_TYPE":
        rules += _categories(field)
    elif field.avro in ("int", "long", "float", "double") and field.name not in TIMES:
        rules += _numbers(field)
    return rules


def _filled(field: Field) -> Rule:
    least = MIN_FILLED_TEXT if field.textual else MIN_FILLED
    meaning = (
        "A text column this empty is not used in training: fill it, or write a word such as blank."
        if field.textual
        else "A column this empty teaches little: fill it, or leave it out of the schema."
    )
    return Rule(f"{field.name} is filled", f"filled:{field.name}", "warning", meaning, minimum=least, is_share=True)


def _same_filled(field: Field) -> Rule:
    return share(
        f"{field.name} is filled as before",
        f"drift:filled:{field.name}",
        "The share of empty cells is far from that of the previous import: was a join lost, or a column renamed?",
        MAX_FILLED_CHANGE,
    )


def _text(field: Field) -> Rule:
    return none(
        f"length of {field.name}",
        f"long_texts:{field.name}",
        "Texts were cut off after 20,000 characters (7,000 of Chinese or Japanese): put what matters first.",
    )


def _categories(field: Field) -> list[Rule]:
    same = Rule(
        f"{field.name} is spread as before",
        f"drift:{field.name}",
        "warning",
        "The values are spread otherwise than in the previous import (population stability index): is a source "
        "missing, or were values renamed?",
        maximum=MAX_PSI,
        unit="PSI",
    )
    if not field.categorical:
        return [same]
    meaning = "So many categories are fine in filters, but hard to learn from: merge rare ones, or use a coarser level."
    name, number = f"categories of {field.name}", f"categories:{field.name}"
    return [Rule(name, number, "warning", meaning, maximum=MAX_CATEGORIES), same]


def _numbers(field: Field) -> list[Rule]:
    return [
        none(
            f"outliers of {field.name}",
            f"outliers:{field.name}",
            "Values lie more than five interquartile ranges off the middle half (of ln(1 + |x|)): placeholders such as "
            "999999, or another unit? They squeeze all others together.",
        ),
        none(
            f"negative values of {field.name}",
            f"negative:{field.name}",
            "Nearly all values are at least 0, or all should be: are these refunds, errors, or a code for unknown?",
        ),
        Rule(
            f"{field.name} lies where it did",
            f"drift:median:{field.name}",
            "warning",
            "The median has moved by more than the earlier interquartile range since the previous import: has the unit changed?",
            maximum=MAX_MEDIAN_CHANGE,
            unit="ranges",
        ),
    ]


def drift_of_rows(what: str) -> Rule:
    """A FULL import beside the FULL import before it."""
    return Rule(
        "as many rows as before",
        "drift:rows",
        "warning",
        f"A FULL import replaces all bulk data, and this one has far fewer or far more {what} than the one before: "
        "is a file missing, or given twice?",
        minimum=0.5,
        maximum=2,
        unit="times as many",
    )
