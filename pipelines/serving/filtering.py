"""A filter on a version: which items an answer may have (spec/filters.md section 4).

What an expression says of items alone is worked out once a version, as a mask; what a request brings (values, its user,
its item, its moment) when it comes. A set is a mask of all items. Rows that newer records took the place of (newer.py) are
worked out beside the others.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipelines.aws.errors import InvalidInput
from pipelines.datasets.schema import ITEM_ID, USER_ID
from pipelines.filters import tree
from pipelines.filters.tree import INTERACTIONS, Condition, Expression, Field, Filter, Listed, Scalar, Value, Where
from pipelines.filters.values import Values
from pipelines.serving.columns import Column, FilterData, Mask
from pipelines.serving.conditions import compared, is_null, one_cell, right_side, true_of_events
from pipelines.serving.ids import IdTable
from pipelines.serving.item_rows import NOTHING, Brought, ItemRows, column_of, ids_column
from pipelines.serving.newer import KnownItems
from pipelines.serving.touching import TypedEvents, UserEvents

if TYPE_CHECKING:
    from pipelines.serving.artefact import Artefact

RELATED_ITEMS = "RELATED_ITEMS"


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


class Filtering:
    """One filter on one version; threads may share it."""

    def __init__(self, artefact: Artefact, filter: Filter, known: KnownItems | None = None) -> None:
        """`known`: what is known of items by now; None: what the version knows.

        Raises InvalidInput if the version cannot be filtered so.
        """
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
        self._users = {field: self._user_column(field) for field in fields if field.dataset == tree.CURRENT_USER}
        self._of_items = [field for field in fields if field.dataset not in (INTERACTIONS, tree.CURRENT_USER)]
        self._has_current_item = any(field.dataset == tree.CURRENT_ITEM for field in self._of_items)
        if self._has_current_item and artefact.recipe_type != RELATED_ITEMS:
            raise InvalidInput(
                "filterArn: the filter has CurrentItem, and the campaign's solution version is of type "
                f"{artefact.recipe_type}; only {RELATED_ITEMS} is asked for an item."
            )
        self.known = known or KnownItems(self._data.items)
        self._base = ItemRows.of(self._of_items, self.known.base, artefact.items)
        self._of_base = [
            self._base.where(expression.where, NOTHING) if _is_fixed(expression) else None
            for expression in filter.expressions
        ]
        self._lay_over(self.known)

    def over(self, known: KnownItems) -> Filtering:
        """The same filter with other newer records over the same base: what was worked out of the base stays."""
        made = copy.copy(self)
        made._lay_over(known)
        return made

    def _lay_over(self, known: KnownItems) -> None:
        self.known, self._over = known, None
        if known.over is not None:
            by_id = any(field.column == ITEM_ID for field in self._of_items)
            ids = self._artefact.items.ids(known.rows.tolist() if by_id else ())
            self._over = ItemRows.of(self._of_items, known.over, IdTable.of(ids))
        self._fixed = [
            mask if mask is None or self._over is None else self._laid_over(mask.copy(), expression.where, NOTHING)
            for mask, expression in zip(self._of_base, self._filter.expressions, strict=True)
        ]

    @property
    def needs_user(self) -> bool:
        """Whether it says something of the current user."""
        return self.reads_events or bool(self.user_columns)

    def _user_column(self, field: Field) -> Column:
        """The column of a field of the current user; raises InvalidInput."""
        if field.column != USER_ID:
            return column_of(field, self._data.users)
        return ids_column(self._artefact.users)

    # The answer ------------------------------------------------------------------------------------------

    def allowed(self, asked: FilterAsked) -> Mask:
        """(items,) the items that may be answered; raises InvalidInput for a value that does not fit its column."""
        included: Mask | None = None
        excluded: Mask | None = None
        brought = Brought(asked.values, asked.now, self._current_item(asked))
        for expression, fixed in zip(self._filter.expressions, self._fixed, strict=True):
            if not self._applies(expression, asked):
                continue
            found = self._set(expression, asked, brought) if fixed is None else fixed
            if expression.action == "INCLUDE":
                included = found if included is None else included | found
            else:
                excluded = found if excluded is None else excluded | found
        if included is None:
            included = np.ones(len(self._artefact.items), np.bool_)
        return included if excluded is None else included & ~excluded

    def allows_unknown(self, item_id: str, asked: FilterAsked) -> bool:
        """Whether an item may be answered that the version does not know: of streamed events, and of newer records."""
        types = {kind.casefold() for item, kind in asked.streamed if item == item_id}
        said = self.known.beside(item_id, [field.column for field in self._of_items])
        row = None if said is None else ItemRows.of(self._of_items, said, IdTable.of([item_id]))
        brought = Brought(asked.values, asked.now, self._current_item(asked))
        includes, included = False, False
        for expression in self._filter.expressions:
            if not self._applies(expression, asked):
                continue
            if _is_of_events(expression):
                found = bool(types) and true_of_events(expression.where, types, asked.values)
            else:
                found = row is not None and bool(row.where(expression.where, brought)[0])
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

    def _set(self, expression: Expression, asked: FilterAsked, brought: Brought) -> Mask:
        if not _is_of_events(expression):
            return self._laid_over(self._base.where(expression.where, brought), expression.where, brought)
        user = self._artefact.users.code(asked.user_id)
        events = UserEvents(self._data.touched, self._artefact.items, user, asked.streamed)
        found = np.zeros(len(self._artefact.items), np.bool_)
        found[events.items(expression.where, asked.values)] = True
        return found

    def _laid_over(self, found: Mask, where: Where, brought: Brought) -> Mask:
        """The mask `found` of the base, corrected where newer records took a row's place."""
        if self._over is not None:
            found[self.known.rows] = self._over.where(where, brought)
        return found

    def _current_item(self, asked: FilterAsked) -> Mapping[Field, Sequence[Scalar]]:
        """What the current item holds, as far as the filter reads it; nothing of an item that is not known."""
        if asked.item_id is None or not self._has_current_item:
            return {}
        row = self._artefact.items.code(asked.item_id)
        if row is None:
            return {}
        at = int(np.searchsorted(self.known.rows, row))
        if self._over is not None and at < len(self.known.rows) and self.known.rows[at] == row:
            return self._over.cells(at)
        return self._base.cells(row)

    # The current user ------------------------------------------------------------------------------------

    def _user_is(self, condition: Condition, asked: FilterAsked) -> bool:
        """Whether the condition is true of the current user; false of one who is not known, and of null."""
        column = self._users[condition.field]
        values = right_side(condition, asked.values, asked.now)
        if asked.user_record is not None:
            one = one_cell(condition.field, column, asked.user_record.get(condition.field.column))
        else:
            row = self._artefact.users.code(asked.user_id)
            if row is None or not self._data.users.described[row]:
                return False
            one = column.of(np.array([row]))
        return not is_null(one) and bool(compared(one, condition.operator, values)[0])


def _is_of_events(expression: Expression) -> bool:
    return next(tree.conditions(expression.where)).field.dataset == INTERACTIONS


def _fields(expression: Expression) -> list[Field]:
    conditions = [*tree.conditions(expression.where), *tree.conditions(expression.user)]
    sides = [side for condition in conditions for side in (condition.field, condition.operand)]
    return [side for side in sides if isinstance(side, Field)]


def _is_fixed(expression: Expression) -> bool:
    """Whether its set is the same for every request."""
    if _is_of_events(expression):
        return False
    conditions = tree.conditions(expression.where)
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
