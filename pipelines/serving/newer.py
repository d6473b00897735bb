"""Item records that came after what a version knows, as columns: laid over the version's own, row by row.

A mask is worked out on the version's columns as ever, and its few rows that newer records took the place of are worked out
anew on theirs: what a condition says of a row depends on that row alone. So a request pays for the rows that changed, and
for nothing when none has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.aws.numbers import decimal_number
from pipelines.datasets.schema import property_name
from pipelines.serving.columns import Column, Columns, Numbers, Texts
from pipelines.serving.ids import IdTable
from pipelines.serving.vocabulary import SEPARATOR

if TYPE_CHECKING:
    from pipelines.serving.item_table import ItemTable

Record = Mapping[str, str | None]
"""Properties of a record of PutItems as text, by key."""
_LONG = 2**63
_LARGEST_FLOAT = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class KnownItems:
    """What is known of a version's items by now."""

    base: Columns
    """(items,) rows."""
    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Rows of `base`, rising, that newer records took the place of."""
    over: Columns | None = None
    """What those say, in the same order; None: there are none."""
    records: Mapping[str, Record] = field(default_factory=dict)
    """The newer records by item id, also of items that the version does not know."""
    table: ItemTable | None = None
    """The dataset, if it is at hand: for items that the version does not know."""

    @classmethod
    def of(
        cls, base: Columns, items: IdTable, records: Mapping[str, Record], table: ItemTable | None = None
    ) -> KnownItems:
        """With the newest record of each item that has one; `items` are those of the version."""
        ids = list(records)
        known = sorted((code, id) for code, id in zip(items.codes(ids), ids, strict=True) if code is not None)
        if not known:
            return cls(base, records=records, table=table)
        rows = np.array([code for code, _ in known], np.int64)
        return cls(base, rows, of_records([records[id] for _, id in known], base), records, table)

    def beside(self, item_id: str, names: Sequence[str]) -> Columns | None:
        """One row, with these columns, of an item that the version does not know; None: nothing is said of it.

        Those of `names` that are no columns (ITEM_ID) are left out.
        """
        if item_id in self.records:
            return of_records([self.records[item_id]], _only(self.base, names))
        code = None if self.table is None else self.table.ids.code(item_id)
        if self.table is None or code is None:
            return None
        # Of the version's columns, or a filter could name one that is not there any more.
        found = _only(self.table.columns, [name for name in names if name in self.base.by_name])
        return found.of(np.array([code])) if len(found.by_name) == len(_only(self.base, names).by_name) else None


def of_records(records: Sequence[Record], like: Columns) -> Columns:
    """Records as rows of the columns that `like` has; what does not fit a column is null, as in a training."""
    columns = {}
    for name, column in like.by_name.items():
        key = property_name(name)
        columns[name] = _column([record.get(key) for record in records], column)
    return Columns(np.ones(len(records), np.bool_), columns)


def cell_text(column: Column, row: int) -> str | None:
    """The cell as text; None of null. Numbers as short as their precision allows: 4.3 of a float, not 4.300000190734863."""
    if isinstance(column, Texts):
        values = column.cell(row)
        return SEPARATOR.join(values) if values else None
    if not column.known[row]:
        return None
    number = column.numbers[row]
    return str(number).lower() if column.numbers.dtype == np.bool_ else str(number)


def _only(columns: Columns, names: Sequence[str]) -> Columns:
    return Columns(columns.described, {name: columns.by_name[name] for name in names if name in columns.by_name})


def _column(cells: Sequence[str | None], like: Column) -> Column:
    if isinstance(like, Texts):
        return Texts.of_cells(cells)
    dtype = like.numbers.dtype
    numbers = [None if cell is None else _number(cell, dtype) for cell in cells]
    known = np.array([number is not None for number in numbers], np.bool_)
    return Numbers(np.array([number or 0 for number in numbers], dtype), known)


def _number(cell: str, dtype: np.dtype[np.generic]) -> float | None:
    """As pipelines/datasets/streamed.py reads it."""
    if dtype == np.bool_:
        return {"true": True, "false": False}.get(cell.lower())
    if dtype == np.int64:
        return _whole(cell)
    number = decimal_number(cell)
    if number is None or (dtype == np.float32 and abs(number) > _LARGEST_FLOAT):
        return None
    return number


def _whole(cell: str) -> int | None:
    try:
        number = Decimal(cell)
    except InvalidOperation:
        return None
    if not number.is_finite() or abs(number) >= _LONG or number != number.to_integral_value():
        return None
    return int(number)
