"""What is known of items, users and a situation, as numbers: a vocabulary per dataset, and bags of its values.

Every column is cut into values: a category is itself (`Action|Comedy` is two), a number the tenth of the training's
rows that it falls into, a text its words. So one table of vectors, a row per value, says what all columns mean, and a
row without a value, or with one that training never saw, is simply a smaller bag: nothing here ever fails on data.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isinf
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipelines.aws.numbers import decimal_number

Kind = Literal["category", "number", "text"]

SEPARATOR = "|"
"""Between the categories of one cell (spec/datasets.md section 3)."""
WORD = r"\w+"


def single_precision(numbers: ArrayLike) -> NDArray[np.float64]:
    """Numbers as a column of type float holds them, too large ones infinite.

    What training read from such a column, a request writes in decimal: 4.3 and not 4.300000190734863. Between the two
    would be the edge of a tenth, which is a number of the data.
    """
    with np.errstate(over="ignore"):
        return np.asarray(numbers, np.float32).astype(np.float64)


@dataclass(frozen=True)
class Column:
    """One column and the values of it that training saw often enough."""

    name: str
    kind: Kind
    values: tuple[str, ...] = ()
    """Of a category or a text: its values (words in lower case), in the order of their codes."""
    edges: tuple[float, ...] = ()
    """Of a number, rising: value k is edges[k - 1] <= x < edges[k], x in single precision."""

    @property
    def size(self) -> int:
        return len(self.edges) + 1 if self.kind == "number" else len(self.values)

    @cached_property
    def codes(self) -> Mapping[str, int]:
        return {value: code for code, value in enumerate(self.values)}

    def encode(self, cell: object) -> list[int]:
        """Codes within the column, each once; none for what is missing or unknown."""
        if self.kind == "number":
            number = decimal_number(str(cell))
            single = None if number is None else float(single_precision(number))
            return [] if single is None or isinf(single) else [bisect_right(self.edges, single)]
        text = str(cell)
        parts = re.findall(WORD, text.lower()) if self.kind == "text" else text.split(SEPARATOR)
        return list(dict.fromkeys(self.codes[part] for part in parts if part in self.codes))

    def code(self, cell: object) -> int | None:
        """The code of a cell that is one value, also if it holds a separator; None for what is unknown."""
        if self.kind == "category":
            return self.codes.get(str(cell))
        return max(self.encode(cell), default=None)

    def label(self, code: int) -> str:
        """What a value is called where people read it."""
        if self.kind != "number":
            return self.values[code]
        low = f"{self.edges[code - 1]:g} <= " if code else ""
        high = f" < {self.edges[code]:g}" if code < len(self.edges) else ""
        return f"{low}{self.name}{high}"


@dataclass(frozen=True)
class Vocabulary:
    """The values of all columns of one dataset, numbered through."""

    columns: tuple[Column, ...] = ()

    @cached_property
    def size(self) -> int:
        return sum(column.size for column in self.columns)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Code of each column's first value."""
        return tuple(int(start) for start in np.cumsum([0, *(column.size for column in self.columns)])[:-1])

    def encode(self, record: Mapping[str, object]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Codes and weights of one record's values, columns by name; what is unknown is left out.

        The n values of one column weigh 1 / sqrt(n) each, so that a film of four genres is not louder than one of one.
        """
        codes: list[int] = []
        weights: list[float] = []
        for column, start in zip(self.columns, self.starts, strict=True):
            cell = record.get(column.name)
            found = [] if cell is None else column.encode(cell)
            codes += [start + code for code in found]
            weights += [len(found) ** -0.5 for _ in found]
        return np.array(codes, np.int64), np.array(weights, np.float32)

    def situation(self, cells: Mapping[str, object]) -> NDArray[np.int64]:
        """Codes of a situation, columns by name, at most one of each; what is unknown is left out.

        As the codes of `Sequences.context`, numbered through.
        """
        found = (
            (start, column.code(cells[column.name]))
            for column, start in zip(self.columns, self.starts, strict=True)
            if cells.get(column.name) is not None
        )
        return np.array([start + code for start, code in found if code is not None], np.int64)

    def name(self, code: int) -> tuple[str, str]:
        """Column and label of a value."""
        at = bisect_right(self.starts, code) - 1
        while not self.columns[at].size:  # an empty column starts where the next does
            at -= 1
        return self.columns[at].name, self.columns[at].label(code - self.starts[at])

    def to_json(self) -> list[dict[str, Any]]:
        return [
            {"name": c.name, "kind": c.kind, "values": list(c.values), "edges": list(c.edges)} for c in self.columns
        ]

    @classmethod
    def from_json(cls, document: Sequence[Mapping[str, Any]]) -> Vocabulary:
        return cls(tuple(Column(c["name"], c["kind"], tuple(c["values"]), tuple(c["edges"])) for c in document))


@dataclass(frozen=True)
class Bags:
    """Values of many rows: row r has `codes[offsets[r]:offsets[r + 1]]`, each with its weight."""

    offsets: NDArray[np.int64]
    codes: NDArray[np.int32]
    weights: NDArray[np.float32]

    @classmethod
    def empty(cls, rows: int) -> Bags:
        return cls(np.zeros(rows + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))

    @property
    def rows(self) -> int:
        return len(self.offsets) - 1

    def of(self, rows: NDArray[np.integer]) -> Bags:
        """These rows only, in the given order; an empty bag for a row below 0."""
        known = np.maximum(rows, 0)
        counts = np.where(rows >= 0, np.diff(self.offsets)[known] if self.rows else 0, 0)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        starts = self.offsets[:-1][known] if self.rows else np.zeros(len(rows), np.int64)
        at = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], counts)
        return Bags(offsets, self.codes[at], self.weights[at])

    def row(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Codes and weights of one row."""
        start, end = self.offsets[row], self.offsets[row + 1]
        return self.codes[start:end], self.weights[start:end]

    def sums(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(values, d) -> (rows, d): each row's weighted sum of its values' vectors."""
        total = np.zeros((self.rows, vectors.shape[1]), np.float32)
        filled = np.flatnonzero(np.diff(self.offsets))
        if len(filled):
            weighted = vectors[self.codes] * self.weights[:, None]
            total[filled] = np.add.reduceat(weighted, self.offsets[filled], axis=0)
        return total
