"""Whether an expression fits a group's datasets (spec: filters.md sections 3, 5 and 7); every rule that has a name.

What comes out says the same with the columns' own names and types and literals of their kind, so that whoever
evaluates it decides nothing any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipelines.aws.errors import InvalidInput
from pipelines.datasets.schema import EVENT_TYPE
from pipelines.datasets.schema import Field as Column
from pipelines.filters import tree
from pipelines.filters.failing import refused
from pipelines.filters.literals import EVENTS, NUMBERS, SPELLED, literal, named
from pipelines.filters.parsing import parse
from pipelines.filters.tree import (
    ACTION_INTERACTIONS,
    CURRENT_ITEM,
    CURRENT_USER,
    INTERACTIONS,
    AllOf,
    AnyOf,
    Anything,
    Condition,
    Expression,
    Field,
    Filter,
    Listed,
    Moment,
    Operand,
    Placeholder,
    Value,
    Where,
)

Datasets = Mapping[str, Sequence[Column]]
"""The columns of a group's datasets, by dataset type."""

MOST_PLACEHOLDERS = 25
"""So many values a request can give (spec: resources.md section 6)."""
LONGEST_PLACEHOLDER = 50
_DATASETS_OF = {
    "ITEMID": ("ITEMS", INTERACTIONS),
    "USERID": ("USERS", INTERACTIONS),
    "ACTIONID": ("ACTIONS", ACTION_INTERACTIONS, INTERACTIONS),
}
_DATASET_BEHIND = {CURRENT_USER: "USERS", CURRENT_ITEM: "ITEMS"}
_BY_THEMSELVES = ("ACTION_EXPIRATION_TIMESTAMP", "REPEAT_FREQUENCY")


def check(text: str, filter: Filter, datasets: Datasets) -> Filter:
    """The filter with every field and literal resolved; `text` is shown where it is wrong. Raises InvalidInput."""
    return _Checker(text, datasets).check(filter)


def columns(filter: Filter) -> dict[str, dict[str, str]]:
    """The datasets' columns that a checked filter reads and their types: what counts against quotas, and what to keep."""
    found: dict[str, dict[str, str]] = {}
    for expression in filter.expressions:
        for where in (expression.where, expression.user):
            for condition in tree.conditions(where):
                for field in (condition.field, condition.operand):
                    if isinstance(field, Field):
                        dataset = _DATASET_BEHIND.get(field.dataset, field.dataset)
                        found.setdefault(dataset, {})[field.column] = str(field.type)
    return found


def kept(text: str, columns: Mapping[str, Mapping[str, str]]) -> Filter:
    """The filter of an expression that was checked before, from what `columns` said of it then."""
    return check(text, parse(text), {of: [Column(*column) for column in used.items()] for of, used in columns.items()})


@dataclass(frozen=True)
class _Checker:
    text: str
    datasets: Datasets

    def check(self, filter: Filter) -> Filter:
        target = filter.expressions[0].target
        for expression in filter.expressions:
            if expression.target != target:
                raise self._refused(expression.at, f"all expressions of a filter must be for {SPELLED[target]}")
        self._check_placeholders(filter)
        return Filter(tuple(self._expression(expression) for expression in filter.expressions))

    def _expression(self, expression: Expression) -> Expression:
        if expression.user is not None and expression.target == "USERID":
            raise self._refused(_start(expression.user), "IF cannot be used with UserID")
        dataset = next(tree.conditions(expression.where)).field.dataset
        for condition in tree.conditions(expression.where):
            self._check_dataset(condition.field, expression.target, dataset)
        user = None if expression.user is None else self._user(expression.user)
        return replace(expression, where=self._where(expression.where, expression.target), user=user)

    # Where a field may stand -----------------------------------------------------------------------------

    def _check_dataset(self, field: Field, target: str, dataset: str) -> None:
        allowed = _DATASETS_OF[target]
        name = SPELLED.get(field.dataset)
        if field.dataset == CURRENT_USER:
            raise self._refused(field.at, "CurrentUser can only be tested after IF")
        if field.dataset == CURRENT_ITEM:
            raise self._refused(field.at, "CurrentItem can only stand on the right side of a comparison")
        if field.dataset not in allowed:
            can = " and ".join(SPELLED[one] for one in allowed)
            what = f"{name} cannot be used" if name else f"{field.dataset} is not a dataset"
            raise self._refused(field.at, f"{what}; an expression for {SPELLED[target]} can use {can}")
        if field.dataset != dataset:
            mixed = f"{SPELLED[dataset]} and {name} cannot be in one expression"
            raise self._refused(field.at, f"{mixed}; make it two, with | between them")

    def _user(self, where: Where) -> Where:
        if isinstance(where, AnyOf):
            raise self._refused(where.at, "conditions after IF can only be joined by AND")
        if isinstance(where, AllOf):
            return AllOf(tuple(self._user(term) for term in where.terms), at=where.at)
        if where.field.dataset != CURRENT_USER:
            what = SPELLED.get(where.field.dataset, where.field.dataset)
            raise self._refused(where.field.at, f"only CurrentUser can be tested after IF, not {what}")
        return self._condition(where, "")

    def _where(self, where: Where, target: str) -> Where:
        if isinstance(where, Condition):
            return self._condition(where, target)
        return replace(where, terms=tuple(self._where(term, target) for term in where.terms))

    # What a condition may say ----------------------------------------------------------------------------

    def _condition(self, condition: Condition, target: str) -> Condition:
        field = self._field(condition.field, condition)
        return replace(condition, field=field, operand=self._operand(field, condition, target))

    def _field(self, field: Field, condition: Condition) -> Field:
        """The field with the name and the type that its column has."""
        dataset = _DATASET_BEHIND.get(field.dataset, field.dataset)
        there = self.datasets.get(dataset)
        spelled = SPELLED[field.dataset]
        if there is None:
            raise self._refused(field.at, f"the dataset group has no {SPELLED[dataset]} dataset")
        found = [column for column in there if column.name.upper() == field.column.upper()]
        if dataset in EVENTS and field.column.upper() != EVENT_TYPE:
            raise self._refused(field.at, f"of {spelled} only EVENT_TYPE can be used, not {field.column}")
        if not found:
            has = ", ".join(column.name for column in there[:20]) + (", …" if len(there) > 20 else "")
            raise self._refused(field.at, f"{spelled} has no column {field.column}; it has {has}")
        column = found[0]
        if column.textual:
            raise self._refused(field.at, f"{spelled}.{column.name} is textual; such a column cannot be filtered by")
        if dataset == "ACTIONS" and column.name in _BY_THEMSELVES:
            raise self._refused(field.at, f"{spelled}.{column.name} acts by itself and cannot be filtered by")
        if column.avro == "boolean" and condition.operator != "IS":
            hint = f"write {spelled}.{column.name} IS TRUE or IS FALSE"
            raise self._refused(condition.at, f"{spelled}.{column.name} is boolean and cannot be compared; {hint}")
        if column.avro != "boolean" and condition.operator == "IS":
            raise self._refused(condition.at, f"IS needs a boolean column, and {spelled}.{column.name} is not one")
        return Field(field.dataset, column.name, _type(column), at=field.at)

    def _operand(self, field: Field, condition: Condition, target: str) -> Operand:
        operator, operand = condition.operator, condition.operand
        if operator in ("<", "<=", ">", ">=") and field.type not in NUMBERS:
            raise self._refused(condition.at, f"{operator} needs a number, and {named(field)} is a text")
        match operand:
            case Listed():
                return self._listed(field, operator, operand)
            case Field():
                return self._current_item(field, condition, operand, target)
            case Moment():
                if field.type not in NUMBERS:
                    raise self._refused(operand.at, f"NOW() is a number, and {named(field)} is a text")
                return operand
            case Anything():
                raise self._refused(operand.at, '"*" can only stand in Interactions.EVENT_TYPE IN ("*")')
            case Placeholder():
                return operand
            case Value():
                return operand if operator == "IS" else self._value(field, operand)

    def _listed(self, field: Field, operator: str, listed: Listed) -> Listed:
        for value in listed.values:
            if isinstance(value, Placeholder) and operator == "NOT IN":
                hint = "use IN, and EXCLUDE for INCLUDE or the other way round"
                raise self._refused(value.at, f"a placeholder cannot be used with NOT IN; {hint}")
            if isinstance(value, Placeholder) and len(listed.values) > 1:
                raise self._refused(value.at, "a list holds one placeholder alone, or literals")
            if isinstance(value, Anything) and (
                field.dataset not in EVENTS or operator != "IN" or len(listed.values) > 1
            ):
                raise self._refused(value.at, '"*" can only stand alone, in Interactions.EVENT_TYPE IN ("*")')
        values = (self._value(field, value) if isinstance(value, Value) else value for value in listed.values)
        return Listed(tuple(values), at=listed.at)

    def _current_item(self, field: Field, condition: Condition, operand: Field, target: str) -> Field:
        if operand.dataset == CURRENT_USER:
            raise self._refused(operand.at, "CurrentUser can only be tested after IF")
        if operand.dataset != CURRENT_ITEM:
            can = "a value, a placeholder or a column of CurrentItem"
            raise self._refused(operand.at, f"on the right side of {condition.operator} can stand {can}")
        if target != "ITEMID" or field.dataset != "ITEMS":
            raise self._refused(operand.at, "only columns of Items can be compared with CurrentItem")
        other = self._field(operand, condition)
        if (field.type in NUMBERS) != (other.type in NUMBERS):
            raise self._refused(operand.at, f"{named(field)} and {named(other)} are not of one kind")
        return other

    def _value(self, field: Field, value: Value) -> Value:
        try:
            return Value(literal(field, value.value), at=value.at)
        except ValueError as wrong:
            raise self._refused(value.at, str(wrong)) from None

    def _check_placeholders(self, filter: Filter) -> None:
        used = [use for expression in filter.expressions for use, _ in tree.placeholders(expression)]
        for use in used:
            if len(use.name) > LONGEST_PLACEHOLDER:
                raise self._refused(use.at, f"a placeholder's name has at most {LONGEST_PLACEHOLDER} characters")
        if len({use.name for use in used}) > MOST_PLACEHOLDERS:
            raise self._refused(used[-1].at, f"a filter has at most {MOST_PLACEHOLDERS} placeholders")

    def _refused(self, at: int, why: str) -> InvalidInput:
        return refused(self.text, at, why)


def _type(column: Column) -> tree.ColumnType:
    found: tree.ColumnType = column.avro  # type: ignore[assignment]
    return found


def _start(where: Where) -> int:
    return next(tree.conditions(where)).field.at
