"""What a filter expression says. Parts that say the same are equal, wherever they stand."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of an expression."""

    at: int = member(default=0, compare=False)
    """Where in the text it begins."""


@dataclass(frozen=True, slots=True)
class Field(Part):
    """`Items.GENRES`; as parsed in capitals, as checked with the column's own name and its type."""

    dataset: str
    """ITEMS, INTERACTIONS, USERS, ACTIONS, ACTION_INTERACTIONS, CURRENTUSER or CURRENTITEM."""
    column: str
    type: ColumnType | None = None
    """None: not checked yet."""


@dataclass(frozen=True, slots=True)
class Value(Part):
    """A literal; as checked of the column's kind, event types in lower case."""

    value: Scalar


@dataclass(frozen=True, slots=True)
class Anything(Part):
    """`"*"`: an event of any type."""


@dataclass(frozen=True, slots=True)
class Placeholder(Part):
    """`$NAME`: a value, or several in a list, that each request gives."""

    name: str


@dataclass(frozen=True, slots=True)
class Moment(Part):
    """`NOW() - 30 DAYS`: so many seconds after the request."""

    offset: int


@dataclass(frozen=True, slots=True)
class Listed(Part):
    """What stands in the parentheses after IN and NOT IN."""

    values: tuple[Value | Placeholder | Anything, ...]


Operand: TypeAlias = Value | Placeholder | Moment | Field | Listed


@dataclass(frozen=True, slots=True)
class Condition(Part):
    """`Items.PRICE < 20`; `at` of the operator."""

    field: Field
    operator: Operator
    operand: Operand


@dataclass(frozen=True, slots=True)
class AllOf(Part):
    """Conditions joined by AND."""

    terms: tuple[Where, ...]


@dataclass(frozen=True, slots=True)
class AnyOf(Part):
    """Conditions joined by OR; `at` of the first OR."""

    terms: tuple[Where, ...]


Where: TypeAlias = Condition | AllOf | AnyOf


@dataclass(frozen=True, slots=True)
class Expression(Part):
    """`INCLUDE ItemID WHERE … IF …`."""

    action: Action
    target: Target
    where: Where
    user: Where | None = None
    """What must be true of the current user, or the expression counts as absent."""


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
