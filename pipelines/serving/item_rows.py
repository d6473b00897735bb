"""Rows of items, as far as one filter reads them, and which of them satisfy its conditions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.aws.errors import InvalidInput
from pipelines.datasets.schema import ITEM_ID
from pipelines.filters.tree import AllOf, Condition, Field, Scalar, Where
from pipelines.filters.values import Values
from pipelines.serving.columns import Column, Columns, Mask, Texts
from pipelines.serving.conditions import cell, compared, right_side
from pipelines.serving.ids import IdTable


@dataclass(frozen=True, slots=True)
class Brought:
    """What a request brings to conditions on items."""

    values: Values
    now: float
    """Epoch seconds."""
    current: Mapping[Field, Sequence[Scalar]]
    """What columns of the current item hold."""


NOTHING = Brought({}, 0.0, {})
"""For conditions that need nothing."""


@dataclass(frozen=True, slots=True)
class ItemRows:
    """Some items' rows."""

    described: Mask
    """(rows,) whether the dataset has a row of it."""
    columns: Mapping[Field, Column]
    """Those that the filter names."""

    @classmethod
    def of(cls, fields: Iterable[Field], columns: Columns, ids: IdTable) -> ItemRows:
        """Rows of the items `ids`, which are a column like others; raises InvalidInput for a column that there is not."""
        found = {field: ids_column(ids) if field.column == ITEM_ID else column_of(field, columns) for field in fields}
        return cls(columns.described, found)

    def where(self, where: Where, brought: Brought) -> Mask:
        """(rows,) of which the dataset has a row, and which satisfy the conditions."""
        found: Mask = self._satisfying(where, brought) & self.described
        return found

    def cells(self, row: int) -> Mapping[Field, Sequence[Scalar]]:
        """What one row holds; nothing if the dataset does not have it."""
        return {field: cell(column, row) if self.described[row] else () for field, column in self.columns.items()}

    def _satisfying(self, where: Where, brought: Brought) -> Mask:
        if isinstance(where, Condition):
            return self._condition(where, brought)
        combine = np.logical_and if isinstance(where, AllOf) else np.logical_or
        found = self._satisfying(where.terms[0], brought).copy()
        for term in where.terms[1:]:
            combine(found, self._satisfying(term, brought), out=found)
        return found

    def _condition(self, condition: Condition, brought: Brought) -> Mask:
        operand = condition.operand
        if isinstance(operand, Field):
            values = brought.current.get(operand, ())
        else:
            values = right_side(condition, brought.values, brought.now)
        return compared(self.columns[condition.field], condition.operator, values)


def ids_column(ids: IdTable) -> Texts:
    """Each row's own id."""
    return Texts(ids, np.arange(len(ids) + 1), np.arange(len(ids), dtype=np.int32))


def column_of(field: Field, columns: Columns) -> Column:
    """The column of a field that is no id; raises InvalidInput."""
    column = columns.by_name.get(field.column)
    if column is None or isinstance(column, Texts) != (field.type == "string"):
        raise InvalidInput(
            f"filterArn: the campaign's solution version was trained without the column {field.column} of the "
            "filter; train anew with the dataset that has it."
        )
    return column
