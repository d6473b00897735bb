"""What filters read of a version's inputs (pipelines/serving/columns.py): also what the solution does not train on.

Excluded columns and rows that `eventType` leaves out count here (spec/training.md section 1), and so do users of whom
nothing else is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.schema import EVENT_TYPE, Field, Schema
from pipelines.datasets.sequences import Sequences
from pipelines.serving.columns import DTYPES, MOST_EVENTS, Column, Columns, Numbers, Texts, Touched
from pipelines.serving.ids import IdTable
from pipelines.serving.parts import Histories
from pipelines.serving.vocabulary import SEPARATOR

if TYPE_CHECKING:
    import pyarrow as pa


def filterable(schema: Schema) -> list[Field]:
    """The fields that filters read: all but ids and texts."""
    return [field for field in schema.metadata if not field.textual]


def columns(table: pa.Table, id_column: str, ids: Sequence[str], fields: Sequence[Field]) -> Columns:
    """What `table` (one row an id) says of each of `ids` in these fields."""
    import pyarrow as pa
    import pyarrow.compute as pc

    row_of = pc.index_in(pa.array(ids, pa.string()), value_set=table[id_column].combine_chunks())
    rows = row_of.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return Columns(
        rows >= 0, {field.name: _column(table[field.name].combine_chunks(), field).of(rows) for field in fields}
    )


def _column(cells: pa.Array, field: Field) -> Column:
    import pyarrow as pa
    import pyarrow.compute as pc

    if field.avro != "string":
        dtype = DTYPES[field.avro]
        known = cells.is_valid().to_numpy(zero_copy_only=False)
        numbers: NDArray[np.generic] = np.zeros(len(cells), dtype)
        numbers[known] = cells.drop_null().to_numpy(zero_copy_only=False).astype(dtype)
        if dtype in (np.float32, np.float64):
            known &= ~np.isnan(numbers)
        return Numbers(numbers, known)
    distinct = cells.cast(pa.string()).dictionary_encode()
    lists = pc.split_pattern(distinct.dictionary, SEPARATOR)
    values = pc.list_flatten(lists).dictionary_encode()
    of_cells = Texts(
        IdTable.of(values.dictionary.to_pylist()),
        lists.offsets.to_numpy().astype(np.int64),
        values.indices.to_numpy(zero_copy_only=False).astype(np.int32),
    )
    return of_cells.of(distinct.indices.fill_null(-1).to_numpy(zero_copy_only=False))


def event_types(interactions: pa.Table) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """The types that there are, as `Touched.types`, and (rows,) each row's."""
    import pyarrow as pa

    if EVENT_TYPE not in interactions.column_names:
        return ("",), np.zeros(len(interactions), np.int32)
    cells = interactions[EVENT_TYPE].cast(pa.string()).combine_chunks().dictionary_encode()
    written = [value.casefold() for value in cells.dictionary.to_pylist()]
    types = ("", *sorted({*written} - {""}))
    # The last one is that of null, which has index -1.
    codes = np.array([*map(types.index, written), 0], np.int32)
    return types, codes[cells.indices.fill_null(-1).to_numpy(zero_copy_only=False)]


@dataclass(frozen=True)
class Events:
    """All interactions in order, with what they are beside their situation: one sort gives what trains and what filters read."""

    sequences: Sequences
    """The last column of `context` is twice the event type, and one more in rows that train."""

    @staticmethod
    def context(
        situations: NDArray[np.int32] | None, types: NDArray[np.int32], trains: NDArray[np.bool_]
    ) -> NDArray[np.int32]:
        """(rows, columns) `sequences.context` before it is in order; `situations` are of the rows that train."""
        known = 0 if situations is None else situations.shape[1]
        found = np.full((len(types), known + 1), -1, np.int32)
        if situations is not None:
            found[trains, :-1] = situations
        found[:, -1] = 2 * types + trains
        return found

    def trained(self) -> Sequences:
        """The rows that train."""
        context = self.sequences.context
        without = np.ascontiguousarray(context[:, :-1]) if context.shape[1] > 1 else np.zeros((0, 0), np.int32)
        trains = context[:, -1] % 2 == 1
        found = replace(self.sequences, context=without)
        return found if trains.all() else found.where(trains)

    def touched(self, types: tuple[str, ...], items: int) -> Touched:
        """Each user's newest events of every type, with items below `items`."""
        found, owners = [], []
        for code in range(len(types)):
            of_type = self.sequences.where(
                (self.sequences.context[:, -1] // 2 == code) & (self.sequences.items < items)
            )
            newest = Histories(of_type.offsets, of_type.items, of_type.times).newest(MOST_EVENTS)
            found.append((newest.items, np.full(len(newest.items), code, np.uint8)))
            owners.append(np.repeat(np.arange(of_type.users, dtype=np.int32), np.diff(newest.offsets)))
        whose = np.concatenate(owners)
        order = np.argsort(whose, kind="stable")
        offsets = np.zeros(self.sequences.users + 1, np.int64)
        np.cumsum(np.bincount(whose, minlength=self.sequences.users), out=offsets[1:])
        touched_items, codes = (np.concatenate(parts)[order] for parts in zip(*found, strict=True))
        return Touched(types, offsets, touched_items, codes)
