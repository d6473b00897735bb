"""One condition of a filter: what its right side stands for, and of which rows of a column it is true."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.aws.errors import InvalidInput
from pipelines.filters.literals import literal
from pipelines.filters.tree import AllOf, Anything, Condition, Field, Listed, Moment, Placeholder, Scalar, Value, Where
from pipelines.filters.values import Values
from pipelines.serving.columns import Column, Mask, Numbers, Texts


def right_side(condition: Condition, given: Values, now: float) -> list[Scalar]:
    """What the right side of a condition stands for, if it is no column; raises InvalidInput for what does not fit."""
    operand, found = condition.operand, []
    for one in operand.values if isinstance(operand, Listed) else (operand,):
        match one:
            case Value():
                found.append(one.value)
            case Anything():
                found.append("*")
            case Moment():
                found.append(now + one.offset)
            case Placeholder():
                found += _given(condition, one, given)
            case Field():
                raise AssertionError("of the current item")
    return found


def _given(condition: Condition, placeholder: Placeholder, values: Values) -> list[Scalar]:
    given = values[placeholder.name]
    if len(given) > 1 and condition.operator != "IN":
        raise InvalidInput(f"filterValues: {placeholder.name} has {len(given)} values; {condition.operator} takes one.")
    try:
        return [literal(condition.field, value) for value in given]
    except ValueError as wrong:
        raise InvalidInput(f"filterValues: {placeholder.name}: {wrong}.") from None


def compared(column: Column, operator: str, values: Sequence[Scalar]) -> Mask:
    """(rows,) whether a condition is true of each; of null only NOT IN is."""
    if operator == "NOT IN":
        return ~compared(column, "IN", values)
    if operator == "!=":
        known = np.diff(column.offsets) > 0 if isinstance(column, Texts) else column.known
        different: Mask = known & ~compared(column, "IN", values) if values else np.zeros(column.rows, np.bool_)
        return different
    if isinstance(column, Texts):
        return column.having([str(value) for value in values])
    comparison = "=" if operator in ("IN", "IS", "=") else operator
    found = np.zeros(column.rows, np.bool_)
    for value in values:
        found |= column.compared(comparison, value)  # type: ignore[arg-type]  # checked against the column's type
    return found


def cell(column: Column, row: int) -> list[Scalar]:
    """The values of one row."""
    if isinstance(column, Texts):
        return [*column.cell(row)]
    number = column.cell(row)
    return [] if number is None else [number]


def is_null(one: Column) -> bool:
    """Whether a column of one row is null there."""
    return not len(one.codes) if isinstance(one, Texts) else not one.known[0]


def one_cell(field: Field, column: Column, cell: object) -> Column:
    """A column of one row, from what a record has; null if that is no such number."""
    text = None if cell is None else str(cell)
    if isinstance(column, Texts):
        return Texts.of_cells([text])
    if field.type == "boolean":
        return Numbers(np.array([text == "true"]), np.array([text is not None]))
    try:
        number = None if text is None else literal(field, text)
        return Numbers(np.array([number or 0], column.numbers.dtype), np.array([number is not None]))
    except (ValueError, OverflowError):
        return Numbers(np.zeros(1, column.numbers.dtype), np.zeros(1, np.bool_))


def event_types(condition: Condition, given: Values) -> frozenset[str]:
    """The event types that a condition names; `*` for all."""
    return frozenset(str(value) for value in right_side(condition, given, 0.0))


def true_of_events(where: Where, types: set[str], given: Values) -> bool:
    """Whether an item with events of these types satisfies the conditions."""
    if isinstance(where, Condition):
        wanted = event_types(where, given)
        found = "*" in wanted or not types.isdisjoint(wanted)
        return not found if where.operator in ("NOT IN", "!=") else found
    combine = all if isinstance(where, AllOf) else any
    return combine(true_of_events(term, types, given) for term in where.terms)
