"""From columns to vocabularies and bags (pipelines/serving/vocabulary.py): which columns count, and which values.

A column counts if its schema lets recipes learn from it (spec/datasets.md section 2): categorical strings, textual
strings, numbers; not ids, times, booleans, plain strings, impressions, nor EVENT_TYPE and EVENT_VALUE, which choose
the rows that train. A value counts if more than one row has it; of many the most frequent do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.schema import CREATION_TIMESTAMP, EVENT_TYPE, EVENT_VALUE, TIMESTAMP, Field, Schema
from pipelines.recipes.training_data import Features
from pipelines.serving.vocabulary import SEPARATOR, Bags, Column, Kind, Vocabulary, single_precision

if TYPE_CHECKING:
    import pyarrow as pa

NOT_FEATURES = frozenset(
    {TIMESTAMP, CREATION_TIMESTAMP, EVENT_TYPE, EVENT_VALUE, "IMPRESSION", "RECOMMENDATION_ID"}
    | {"EVENT_ATTRIBUTION_SOURCE"}
)
LEAST_ROWS = 2
"""A value of a single row says no more than the row's id does."""
MOST_VALUES = {"category": 5000, "text": 2000}
COMMON_WORD = 0.3
"""A word in more than this share of the texts tells nothing apart."""
LEAST_WORDS = 3
"""Rows that must have a word."""
BUCKETS = 10
"""Of a number: tenths of the rows, fewer where values repeat."""


def kind_of(field: Field) -> Kind | None:
    """How recipes learn from a field; None: not at all."""
    if field.name in NOT_FEATURES or field.avro == "boolean":
        return None
    if field.avro == "string":
        return "category" if field.categorical else "text" if field.textual else None
    return "number"


def usable(schema: Schema) -> list[Field]:
    """The fields that recipes learn from, in the schema's order."""
    return [field for field in schema.metadata if kind_of(field)]


def features(table: pa.Table, id_column: str, ids: Sequence[str], fields: Sequence[Field]) -> Features:
    """What `table` (one row an id) says of each of `ids`; an empty bag for an id without a row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not fields or not table.num_rows:
        return Features.none(len(ids))
    row_of = pc.index_in(pa.array(ids, pa.string()), value_set=table[id_column].combine_chunks())
    rows = row_of.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    columns, parts = [], []
    for field in fields:
        column, found, codes = _column(table[field.name].combine_chunks(), field)
        columns.append(column)
        parts.append((found, codes))
    vocabulary = Vocabulary(tuple(columns))
    return Features(vocabulary, _bags(vocabulary, parts, table.num_rows).of(rows))


def context(table: pa.Table, fields: Sequence[Field]) -> tuple[Vocabulary, NDArray[np.int32]]:
    """The situations of interactions: vocabulary, and (rows, columns) codes within each column, -1 for none.

    A cell is one value here, also if it holds a separator.
    """
    columns, codes = [], np.full((table.num_rows, len(fields)), -1, np.int32)
    for place, field in enumerate(fields):
        column, found, code = _column(table[field.name].combine_chunks(), field, split=False)
        columns.append(column)
        codes[found, place] = code
    return Vocabulary(tuple(columns)), codes


def _column(
    cells: pa.Array, field: Field, *, split: bool = True
) -> tuple[Column, NDArray[np.int64], NDArray[np.int64]]:
    """A column's values; and for each occurrence its row (ascending) and its code within the column."""
    kind = kind_of(field)
    if kind == "number":
        return _number(cells, field.name)
    assert kind is not None
    rows, parts = _parts(cells, kind, split)
    values = _values(parts, len(cells), kind)
    return (Column(field.name, kind, tuple(values.to_pylist())), *_codes(rows, parts, values))


def _number(cells: pa.Array, name: str) -> tuple[Column, NDArray[np.int64], NDArray[np.int64]]:
    numbers = single_precision(cells.to_numpy(zero_copy_only=False))
    rows = np.flatnonzero(np.isfinite(numbers))
    known = numbers[rows]
    cuts = np.quantile(known, np.arange(1, BUCKETS) / BUCKETS, method="higher") if len(known) else np.zeros(0)
    edges = np.unique(cuts[cuts > known.min()]) if len(known) else cuts
    column = Column(name, "number", edges=tuple(edges.tolist()))
    return column, rows, np.searchsorted(edges, known, side="right").astype(np.int64)


def _parts(cells: pa.Array, kind: Kind, split: bool) -> tuple[NDArray[np.int64], pa.Array]:
    """Every part of every cell with its row, each part once a row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if kind == "category" and not split:
        rows, parts = np.arange(len(cells)), cells
    else:
        if kind == "text":
            # What is no part of a word separates words; Arrow's \\w is ASCII, so letters are named by their property.
            cells = pc.replace_substring_regex(pc.utf8_lower(cells), r"[^\pL\pN\pM_]+", SEPARATOR)
        lists = pc.split_pattern(cells, SEPARATOR)
        rows, parts = pc.list_parent_indices(lists).to_numpy().astype(np.int64), pc.list_flatten(lists)
    kept = pc.and_(pc.is_valid(parts), pc.not_equal(parts, "")).fill_null(False).to_numpy(zero_copy_only=False)
    table = pa.table({"row": rows[kept], "part": parts.filter(pa.array(kept))})
    once = table.group_by(["row", "part"], use_threads=False).aggregate([])
    return once["row"].to_numpy().astype(np.int64), once["part"].combine_chunks()


def _values(parts: pa.Array, rows: int, kind: Kind) -> pa.Array:
    """The values that count, by falling number of rows, equal ones by value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    counted = pc.value_counts(parts)
    table = pa.table({"value": counted.field("values"), "rows": counted.field("counts")})
    least = LEAST_WORDS if kind == "text" else LEAST_ROWS
    table = table.filter(pc.greater_equal(table["rows"], least))
    if kind == "text":
        table = table.filter(pc.less_equal(table["rows"], max(least, COMMON_WORD * rows)))
    ordered = table.sort_by([("rows", "descending"), ("value", "ascending")])
    return ordered["value"].slice(0, MOST_VALUES[kind]).combine_chunks()


def _codes(rows: NDArray[np.int64], parts: pa.Array, values: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    import pyarrow.compute as pc

    codes = pc.index_in(parts, value_set=values).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    known = codes >= 0
    order = np.lexsort((codes[known], rows[known]))
    return rows[known][order], codes[known][order]


def _bags(vocabulary: Vocabulary, parts: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]], rows: int) -> Bags:
    """Occurrences of all columns as one bag a row; weights as Vocabulary.encode gives them."""
    at = np.concatenate([found for found, _ in parts])
    codes = np.concatenate([code + start for (_, code), start in zip(parts, vocabulary.starts, strict=True)])
    weights = np.concatenate([np.bincount(found, minlength=rows)[found] ** -0.5 for found, _ in parts])
    order = np.argsort(at, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(at, minlength=rows))]).astype(np.int64)
    return Bags(offsets, codes[order].astype(np.int32), weights[order].astype(np.float32))
