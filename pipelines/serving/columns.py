"""What datasets say of items and users, cell by cell: what filters read (pipelines/filters).

A text column is a table of its distinct values and each row's codes, in the order of its cell: `Action|Comedy` is two
values. From values to rows leads an index that is made when the column is first asked, so that a condition touches the
rows that it is true of and no others. A number column is the numbers themselves, in the column's own precision: what
is compared with them is brought to it, or 4.3 would not equal the 4.3 of a float column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipelines.serving.ids import IdTable
from pipelines.serving.vocabulary import SEPARATOR

Mask: TypeAlias = NDArray[np.bool_]

# Unlike AWS, serving: a user's events count for filters however old they are. AWS forgets users without an imported event
# for three months; who has bought something has it after that, too.
MOST_EVENTS = 100
"""A user's newest events of each type count for filters (spec/filters.md section 4)."""
DTYPES = {"int": np.int64, "long": np.int64, "float": np.float32, "double": np.float64, "boolean": np.bool_}
"""How the numbers of a column are kept, by its Avro type."""
_COMPARE = {
    "=": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


@dataclass(frozen=True)
class Texts:
    """A column of texts; row r has the values `codes[offsets[r]:offsets[r + 1]]`, none if its cell is null."""

    values: IdTable
    offsets: NDArray[np.int64]
    codes: NDArray[np.int32]

    @classmethod
    def of_cells(cls, cells: Iterable[str | None]) -> Texts:
        """A column in memory."""
        parts = [[] if cell is None else cell.split(SEPARATOR) for cell in cells]
        codes = {value: code for code, value in enumerate(dict.fromkeys(v for values in parts for v in values))}
        offsets = np.cumsum([0, *map(len, parts)]).astype(np.int64)
        return cls(IdTable.of(list(codes)), offsets, np.array([codes[v] for values in parts for v in values], np.int32))

    @property
    def rows(self) -> int:
        return len(self.offsets) - 1

    def of(self, rows: NDArray[np.integer]) -> Texts:
        """These rows only, in the given order, null for a row below 0, with the values that they have."""
        known = np.maximum(rows, 0)
        counts = np.where(rows >= 0, np.diff(self.offsets)[known] if self.rows else 0, 0)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        starts = self.offsets[:-1][known] if self.rows else np.zeros(len(rows), np.int64)
        codes = self.codes[np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], counts)]
        used, codes = np.unique(codes, return_inverse=True)
        values = self.values if len(used) == len(self.values) else IdTable.of(self.values.ids(used.tolist()))
        return Texts(values, offsets, codes.astype(np.int32))

    def cell(self, row: int) -> list[str]:
        """The values of one row."""
        return self.values.ids(self.codes[self.offsets[row] : self.offsets[row + 1]].tolist())

    def having(self, values: Sequence[str]) -> Mask:
        """(rows,) whether a row has one of the values."""
        starts, rows = self._rows_of_values
        found = np.zeros(self.rows, np.bool_)
        for code in self.values.codes(values):
            if code is not None:
                found[rows[starts[code] : starts[code + 1]]] = True
        return found

    @cached_property
    def _rows_of_values(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Value v is in the rows `rows[starts[v]:starts[v + 1]]`."""
        starts = np.zeros(len(self.values) + 1, np.int64)
        np.cumsum(np.bincount(self.codes, minlength=len(self.values)), out=starts[1:])
        owners = np.repeat(np.arange(self.rows, dtype=np.int32), np.diff(self.offsets))
        return starts, owners[np.argsort(self.codes, kind="stable")]


@dataclass(frozen=True)
class Numbers:
    """A column of numbers or of truths."""

    numbers: NDArray[np.generic]
    known: Mask
    """Where the cell is not null."""

    @property
    def rows(self) -> int:
        return len(self.numbers)

    def of(self, rows: NDArray[np.integer]) -> Numbers:
        """These rows only, in the given order, null for a row below 0."""
        if not self.rows:
            return Numbers(np.zeros(len(rows), self.numbers.dtype), np.zeros(len(rows), np.bool_))
        at = np.maximum(rows, 0)
        return Numbers(self.numbers[at], self.known[at] & (rows >= 0))

    def cell(self, row: int) -> float | None:
        """The number of one row."""
        return self.numbers[row].item() if self.known[row] else None

    def compared(self, comparison: str, number: float) -> Mask:
        """(rows,) whether a row's number is so; false of null."""
        with np.errstate(over="ignore"):
            other = np.float32(number) if self.numbers.dtype == np.float32 else number
            found: Mask = self.known & _COMPARE[comparison](self.numbers, other)
            return found


Column: TypeAlias = Texts | Numbers


@dataclass(frozen=True)
class Columns:
    """What a dataset says of each item or user."""

    described: Mask
    """(rows,) whether the dataset has a row of it."""
    by_name: Mapping[str, Column] = field(default_factory=dict)

    def of(self, rows: NDArray[np.integer]) -> Columns:
        """These rows only, in the given order; nothing is said of a row below 0."""
        described = Numbers(self.described, self.described).of(rows).known
        return Columns(described, {name: column.of(rows) for name, column in self.by_name.items()})


@dataclass(frozen=True)
class Touched:
    """Each user's newest MOST_EVENTS events of every type: user u's are [offsets[u], offsets[u + 1]), by type."""

    types: tuple[str, ...]
    """Event types in lower case; the first, "", is that of events without one."""
    offsets: NDArray[np.int64]
    items: NDArray[np.int32]
    codes: NDArray[np.uint8]
    """Of each event's type; within one type the oldest event comes first."""

    def of(self, users: NDArray[np.integer], items: NDArray[np.integer]) -> Touched:
        """These users only, in the given order, nothing of a user below 0; item codes become those of `items`, and
        events with an item that becomes -1 are left out."""
        known = np.maximum(users, 0)
        counts = np.where(users >= 0, np.diff(self.offsets)[known] if len(self.offsets) > 1 else 0, 0)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        starts = self.offsets[:-1][known] if len(self.offsets) > 1 else np.zeros(len(users), np.int64)
        at = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], counts)
        new = items[self.items[at]].astype(np.int32)
        kept = np.concatenate([[0], np.cumsum(new >= 0)])
        return Touched(self.types, kept[offsets].astype(np.int64), new[new >= 0], self.codes[at][new >= 0])


@dataclass(frozen=True)
class FilterData:
    """All that filters read; rows are items and users of the version."""

    items: Columns
    users: Columns
    touched: Touched

    def of(self, users: NDArray[np.integer], items: NDArray[np.integer]) -> FilterData:
        """These users and items only, in the given order; nothing is said of a row below 0."""
        places = np.full(len(self.items.described), -1, np.int64)
        places[items[items >= 0]] = np.flatnonzero(items >= 0)
        return FilterData(self.items.of(items), self.users.of(users), self.touched.of(users, places))
