"""A filter on a version: which items an answer may have (spec/filters.md section 4).

What an expression says of items alone is worked out once a version, as a mask; what a request brings (values, its user,
its item, its moment) when it comes. A set is a mask of all items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.aws.errors import InvalidInput
from pipelines.filters import tree
from pipelines.filters.tree import (
    INTERACTIONS,
    AllOf,
    Condition,
    Expression,
    Field,
    Filter,
    Listed,
    Scalar,
    Value,
    Where,
)
from pipelines.filters.values import Values
from pipelines.serving.columns import MOST_EVENTS, Column, FilterData, Mask, Texts
from pipelines.serving.conditions import cell, compared, event_types, is_null, one_cell, right_side, true_of_events

if TYPE_CHECKING:
    from pipelines.serving.artefact import Artefact

RELATED_ITEMS = "RELATED_ITEMS"
TypedEvents = Sequence[tuple[str, str]]
"""(item id, event type) of a user's events since the version's cut-off, newest first."""


@dataclass(frozen=True, slots=True)
class FilterAsked:
    """What of one request a filter may depend on."""

    values: Values
    user_id: str
    item_id: str | None
    now: float
    """Epoch seconds."""
    streamed: TypedEvents = ()
    user_record: Mapping[str, object] | None = None
    """The user's newest record of PutUsers by column name, if one came after the training."""


_NOTHING = FilterAsked({}, "", None, 0.0)


class Filtering:
    """One filter on one version; threads may share it."""

    def __init__(self, artefact: Artefact, filter: Filter) -> None:
        """Raises InvalidInput if the version cannot be filtered so."""
        if artefact.filter_data is None:
            raise InvalidInput(
                "filterArn: the campaign's solution version is of before there were filters; train anew."
            )
        if filter.expressions[0].target != "ITEMID":
            raise InvalidInput("filterArn: the filter is not for items: its expressions do not say ItemID.")
        self._artefact = artefact
        self._data: FilterData = artefact.filter_data
        self._filter = filter
        fields = [field for expression in filter.expressions for field in _fields(expression)]
        self.reads_events = any(field.dataset == INTERACTIONS for field in fields)
        self.user_columns = tuple(dict.fromkeys(f.column for f in fields if f.dataset == tree.CURRENT_USER))
        self._columns = {field: self._column(field) for field in fields if field.dataset != INTERACTIONS}
        self._fixed = [
            self._items(expression.where, _NOTHING) if _is_fixed(expression) else None
            for expression in filter.expressions
        ]

    @property
    def needs_user(self) -> bool:
        """Whether it says something of the current user."""
        return self.reads_events or bool(self.user_columns)

    def _column(self, field: Field) -> Column:
        """The column of a field; ids are columns like others. Raises InvalidInput."""
        if field.dataset == tree.CURRENT_ITEM and self._artefact.recipe_type != RELATED_ITEMS:
            raise InvalidInput(
                "filterArn: the filter has CurrentItem, and the campaign's solution version is of type "
                f"{self._artefact.recipe_type}; only {RELATED_ITEMS} is asked for an item."
            )
        of_user = field.dataset == tree.CURRENT_USER
        columns, table = (
            (self._data.users, self._artefact.users) if of_user else (self._data.items, self._artefact.items)
        )
        if field.column == ("USER_ID" if of_user else "ITEM_ID"):
            return Texts(table, np.arange(len(table) + 1), np.arange(len(table), dtype=np.int32))
        column = columns.by_name.get(field.column)
        if column is None or isinstance(column, Texts) != (field.type == "string"):
            raise InvalidInput(
                f"filterArn: the campaign's solution version was trained without the column {field.column} of the "
                "filter; train anew with the dataset that has it."
            )
        return column

    # The answer ------------------------------------------------------------------------------------------

    def allowed(self, asked: FilterAsked) -> Mask:
        """(items,) the items that may be answered; raises InvalidInput for a value that does not fit its column."""
        included: Mask | None = None
        excluded: Mask | None = None
        for expression, fixed in zip(self._filter.expressions, self._fixed, strict=True):
            if not self._applies(expression, asked):
                continue
            found = self._set(expression, asked) if fixed is None else fixed
            if expression.action == "INCLUDE":
                included = found if included is None else included | found
            else:
                excluded = found if excluded is None else excluded | found
        if included is None:
            included = np.ones(len(self._artefact.items), np.bool_)
        return included if excluded is None else included & ~excluded

    def allows_unknown(self, item_id: str, asked: FilterAsked) -> bool:
        """Whether an item may be answered that the version does not know: only streamed events say something of it."""
        types = {kind.casefold() for item, kind in asked.streamed if item == item_id}
        includes, included = False, False
        for expression in self._filter.expressions:
            if not self._applies(expression, asked):
                continue
            of_events = next(tree.conditions(expression.where)).field.dataset == INTERACTIONS
            found = of_events and bool(types) and true_of_events(expression.where, types, asked.values)
            if expression.action == "INCLUDE":
                includes, included = True, included or found
            elif found:
                return False
        return included or not includes

    def _applies(self, expression: Expression, asked: FilterAsked) -> bool:
        """Whether its values were given and its IF is true."""
        if any(use.name not in asked.values for use, _ in tree.placeholders(expression)):
            return False
        return all(self._user_is(condition, asked) for condition in tree.conditions(expression.user))

    def _set(self, expression: Expression, asked: FilterAsked) -> Mask:
        if next(tree.conditions(expression.where)).field.dataset == INTERACTIONS:
            found = np.zeros(len(self._artefact.items), np.bool_)
            found[self._touched(expression.where, asked)] = True
            return found
        return self._items(expression.where, asked)

    # Items -----------------------------------------------------------------------------------------------

    def _items(self, where: Where, asked: FilterAsked) -> Mask:
        """The items of which the dataset has a row, and which satisfy the conditions."""
        found: Mask = self._where(where, asked) & self._data.items.described
        return found

    def _where(self, where: Where, asked: FilterAsked) -> Mask:
        if isinstance(where, Condition):
            return self._condition(where, asked)
        combine = np.logical_and if isinstance(where, AllOf) else np.logical_or
        found = self._where(where.terms[0], asked).copy()
        for term in where.terms[1:]:
            combine(found, self._where(term, asked), out=found)
        return found

    def _condition(self, condition: Condition, asked: FilterAsked) -> Mask:
        operand = condition.operand
        if isinstance(operand, Field):
            values = self._of_current_item(operand, asked)
        else:
            values = right_side(condition, asked.values, asked.now)
        return compared(self._columns[condition.field], condition.operator, values)

    def _of_current_item(self, field: Field, asked: FilterAsked) -> Sequence[Scalar]:
        """The values of the current item; none of an item that is not known."""
        row = None if asked.item_id is None else self._artefact.items.code(asked.item_id)
        if row is None or not self._data.items.described[row]:
            return ()
        return cell(self._columns[field], row)

    # What the user touched -------------------------------------------------------------------------------

    def _touched(self, where: Where, asked: FilterAsked) -> NDArray[np.int64]:
        """Codes of the items that the user has events with, of types that satisfy the conditions."""
        items, types = self._events(asked)
        touched, places = np.unique(items, return_inverse=True)

        def of(where: Where) -> Mask:
            if isinstance(where, Condition):
                found = np.zeros(len(touched), np.bool_)
                wanted = event_types(where, asked.values)
                found[places[[at for at, kind in enumerate(types) if "*" in wanted or kind in wanted]]] = True
                return ~found if where.operator in ("NOT IN", "!=") else found
            combine = np.logical_and if isinstance(where, AllOf) else np.logical_or
            combined: Mask = combine.reduce([of(term) for term in where.terms])
            return combined

        codes: NDArray[np.int64] = touched[of(where)]
        return codes

    def _events(self, asked: FilterAsked) -> tuple[NDArray[np.int64], list[str]]:
        """Items and types of the user's newest MOST_EVENTS events of each type."""
        items, types = [], []
        counts: dict[str, int] = {}
        for (_, written), code in zip(
            asked.streamed, self._artefact.items.codes([item for item, _ in asked.streamed]), strict=True
        ):
            kind = written.casefold()
            counts[kind] = counts.get(kind, 0) + 1
            if code is not None and counts[kind] <= MOST_EVENTS:
                items.append(code)
                types.append(kind)
        user = self._artefact.users.code(asked.user_id)
        if user is not None:
            touched = self._data.touched
            start, end = touched.offsets[user], touched.offsets[user + 1]
            older, kinds = touched.items[start:end].tolist(), touched.codes[start:end].tolist()
            # Of each type the newest come last.
            for code, number in zip(reversed(older), reversed(kinds), strict=True):
                kind = touched.types[number]
                counts[kind] = counts.get(kind, 0) + 1
                if counts[kind] <= MOST_EVENTS:
                    items.append(code)
                    types.append(kind)
        return np.array(items, np.int64), types

    # The current user ------------------------------------------------------------------------------------

    def _user_is(self, condition: Condition, asked: FilterAsked) -> bool:
        """Whether the condition is true of the current user; false of one who is not known, and of null."""
        column = self._columns[condition.field]
        values = right_side(condition, asked.values, asked.now)
        if asked.user_record is not None:
            one = one_cell(condition.field, column, asked.user_record.get(condition.field.column))
        else:
            row = self._artefact.users.code(asked.user_id)
            if row is None or not self._data.users.described[row]:
                return False
            one = column.of(np.array([row]))
        return not is_null(one) and bool(compared(one, condition.operator, values)[0])


def _fields(expression: Expression) -> list[Field]:
    conditions = [*tree.conditions(expression.where), *tree.conditions(expression.user)]
    sides = [side for condition in conditions for side in (condition.field, condition.operand)]
    return [side for side in sides if isinstance(side, Field)]


def _is_fixed(expression: Expression) -> bool:
    """Whether its set is the same for every request."""
    conditions = list(tree.conditions(expression.where))
    if conditions[0].field.dataset == INTERACTIONS:
        return False
    operands = [
        value
        for condition in conditions
        for value in (condition.operand.values if isinstance(condition.operand, Listed) else (condition.operand,))
    ]
    return all(isinstance(operand, Value) for operand in operands)


@dataclass(frozen=True, slots=True)
class Filtered:
    """A filter with what one request brings to it."""

    filtering: Filtering
    asked: FilterAsked

    def allowed(self) -> Mask:
        """(items,) the items that may be answered."""
        return self.filtering.allowed(self.asked)

    def allows_unknown(self, item_id: str) -> bool:
        """Whether an item may be answered that the version does not know."""
        return self.filtering.allows_unknown(item_id, self.asked)
