"""`itemAttributes` of a batch segment job's line: which items have them (spec: runtime.md section 8).

    ITEMS.GENRES = "Comedy" AND ITEMS.YEAR = 1999

The spec shows equal texts joined by AND. Where it is silent: columns of numbers are compared with numbers, the names of
dataset and columns are taken in any case, as in filters, and an attribute that no item of the training has is refused.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.aws.errors import InvalidInput
from pipelines.filters.failing import ATTRIBUTES, refused
from pipelines.filters.literals import literal
from pipelines.filters.parsing import parse_attributes
from pipelines.filters.tree import Condition, Field, Scalar, Value
from pipelines.serving.columns import Columns, Mask, Texts
from pipelines.serving.conditions import compared


def items_with(text: str, items: Columns) -> NDArray[np.int64]:
    """Codes of the items that have all of the attributes; raises InvalidInput, which points at what is wrong."""
    found = items.described.copy()
    for condition in parse_attributes(text):
        found &= _having(text, condition, items)
    if not found.any():
        raise InvalidInput("itemAttributes: no item that the version was trained on has them.")
    return np.flatnonzero(found)


def _having(text: str, condition: Condition, items: Columns) -> Mask:
    field = condition.field
    if condition.operator != "=":
        raise refused(text, condition.at, f"only = can be used, not {condition.operator}", ATTRIBUTES)
    if field.dataset != "ITEMS":
        raise refused(text, field.at, f"only columns of ITEMS can be used, not of {field.dataset}", ATTRIBUTES)
    names = [name for name in items.by_name if name.upper() == field.column.upper()]
    if not names:
        has = ", ".join(items.by_name) or "none"
        why = f"the version was trained without a column {field.column}; it can use {has}"
        raise refused(text, field.at, why, ATTRIBUTES)
    column = items.by_name[names[0]]
    if not isinstance(column, Texts) and column.numbers.dtype == np.bool_:
        raise refused(text, field.at, f"ITEMS.{names[0]} is boolean and cannot be compared", ATTRIBUTES)
    typed = Field("ITEMS", names[0], "string" if isinstance(column, Texts) else "double")
    return compared(column, "=", [_value(text, typed, condition)])


def _value(text: str, field: Field, condition: Condition) -> Scalar:
    operand = condition.operand
    if not isinstance(operand, Value):
        raise refused(text, operand.at, '"*" is no value', ATTRIBUTES)
    try:
        return literal(field, operand.value)
    except ValueError as wrong:
        raise refused(text, operand.at, str(wrong), ATTRIBUTES) from None
