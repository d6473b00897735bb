"""What a filter expression says. `at` is where in the text a part begins; parts that say the same are equal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as member
from typing import Literal, TypeAlias

INTERACTIONS = "INTERACTIONS"
ACTION_INTERACTIONS = "ACTION_INTERACTIONS"
CURRENT_USER = "CURRENTUSER"
CURRENT_ITEM = "CURRENTITEM"

Action: TypeAlias = Literal["INCLUDE", "EXCLUDE"]
Target: TypeAlias = Literal["ITEMID", "USERID", "ACTIONID"]
Operator: TypeAlias = Literal["IN", "NOT IN", "IS", "=", "!=", "<", "<=", ">", ">="]
ColumnType: TypeAlias = Literal["string", "int", "long", "float", "double", "boolean"]
Scalar: TypeAlias = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Field:
    """`Items.GENRES`; as parsed in capitals, as checked with the column's own name and its type."""

    dataset: str
    """ITEMS, INTERACTIONS, USERS, ACTIONS, ACTION_INTERACTIONS, CURRENTUSER or CURRENTITEM."""
    column: str
    type: ColumnType | None = None
    """None: not checked yet."""
    at: int = member(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Value:
    """A literal; as checked of the column's kind, event types in lower case."""

    value: Scalar
    at: int = member(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Anything:
    """`"*"`: an event of any type."""

    at: int = member(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Placeholder:
    """`$NAME`: a value, or several in a list, that each request gives."""

    name: str
    at: int = member(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Moment:
    """`NOW() - 30 DAYS`: so many seconds after the request."""

    offset: int
    at: int = member(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Listed:
    """What stands in the parentheses after IN and NOT IN."""

    values: tuple[Value | Placeholder | Anything, ...]
    at: int = member(default=0, compare=False)


Operand: TypeAlias = Value | Placeholder | Moment | Field | Listed


@dataclass(frozen=True, slots=True)
class Condition:
    """`Items.PRICE < 20`."""

    field: Field
    operator: Operator
    operand: Operand
    at: int = member(default=0, compare=False)
    """Of the operator."""


@dataclass(frozen=True, slots=True)
class AllOf:
    """Conditions joined by AND."""

    terms: tuple[Where, ...]
    at: int = member(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Conditions joined by OR; `at` of the first OR."""

    terms: tuple[Where, ...]
    at: int = member(default=0, compare=False)


Where: TypeAlias = Condition | AllOf | AnyOf


@dataclass(frozen=True, slots=True)
class Expression:
    """`INCLUDE ItemID WHERE … IF …`."""

    action: Action
    target: Target
    where: Where
    user: Where | None = None
    """What must be true of the current user, or the expression counts as absent."""
    at: int = member(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Filter:
    """Expressions joined by `|`."""

    expressions: tuple[Expression, ...]


def conditions(where: Where | None) -> Iterator[Condition]:
    """All conditions, as written from left to right."""
    if isinstance(where, Condition):
        yield where
    elif where is not None:
        for term in where.terms:
            yield from conditions(term)


def placeholders(expression: Expression) -> Iterator[tuple[Placeholder, Condition]]:
    """Every use of a placeholder."""
    for where in (expression.where, expression.user):
        for condition in conditions(where):
            operand = condition.operand
            for value in operand.values if isinstance(operand, Listed) else (operand,):
                if isinstance(value, Placeholder):
                    yield value, condition
