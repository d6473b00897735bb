"""From a frozen input to training data: imported interactions and streamed events become one set of sequences.

Both kinds of rows go through one rule: the solution's event type and value filter, then rows equal in user, item,
time, type and value are one, then the minimums of spec/datasets.md section 7. Items and users are those that are
left, numbered from 0 in the order in which they first came in.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.sequences import Sequences, make_sequences
from pipelines.serving.ids import IdTable, read_ids, write_ids

if TYPE_CHECKING:
    import pyarrow as pa

MIN_INTERACTIONS = 1000
MIN_USERS = 25
MIN_RETURNING_SHARE = 0.01
"""Of the users, with at least two interactions (spec/resources.md section 6)."""
MAX_EVENT_TYPES = 10


class NotEnoughData(ValueError):
    """The data cannot be trained on; the message is the version's failureReason (spec/resources.md section 6)."""


@dataclass(frozen=True)
class EventFilter:
    """Which interactions a solution trains on (spec/training.md section 1)."""

    event_type: str | None = None
    value_threshold: float | None = None
    """Rows whose EVENT_VALUE is smaller or missing are left out."""


@dataclass(frozen=True)
class TrainingData:
    """What every recipe is fitted on."""

    sequences: Sequences
    item_ids: Sequence[str]
    user_ids: Sequence[str]
    catalogue_size: int
    """Distinct items in Interactions and Items together: the denominator of `coverage`."""

    @property
    def items(self) -> int:
        return len(self.item_ids)


@dataclass(frozen=True)
class Rows:
    """Interactions from one source, column by column; ids are strings of `ids`, by code."""

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    times: NDArray[np.int64]
    types: NDArray[np.int64]
    """Codes into `type_names`; -1: null."""
    values: NDArray[np.float64]
    """NaN: null."""
    user_ids: pa.Array
    item_ids: pa.Array
    type_names: list[str]


def prepare(imported: Rows, streamed: Rows, items_dataset: set[str], wanted: EventFilter) -> TrainingData:
    """Join, filter, order; raises NotEnoughData. `items_dataset`: ids in the Items dataset."""
    rows = _joined(imported, streamed)
    if len(rows.type_names) > MAX_EVENT_TYPES:
        raise NotEnoughData(
            f"Create failed. Dataset has {len(rows.type_names)} distinct event types; at most {MAX_EVENT_TYPES} can be "
            "trained on."
        )
    arrivals = np.concatenate([np.zeros(len(imported.users), np.int64), np.arange(1, len(streamed.users) + 1)])
    kept = _first_of_equal(rows, np.flatnonzero(_wanted(rows, wanted)))
    _check_minimums(rows.users[kept], wanted)
    users, user_codes = np.unique(rows.users[kept], return_inverse=True)
    items, item_codes = np.unique(rows.items[kept], return_inverse=True)
    return TrainingData(
        make_sequences(user_codes, item_codes, rows.times[kept], arrivals[kept], len(users)),
        rows.item_ids.take(items).to_pylist(),
        rows.user_ids.take(users).to_pylist(),
        len(items_dataset.union(rows.item_ids.take(np.unique(rows.items)).to_pylist())),
    )


def _wanted(rows: Rows, wanted: EventFilter) -> NDArray[np.bool_]:
    mask = np.ones(len(rows.users), bool)
    if wanted.event_type is not None:
        names = rows.type_names
        mask &= rows.types == (names.index(wanted.event_type) if wanted.event_type in names else len(names))
    if wanted.value_threshold is not None:
        mask &= rows.values >= wanted.value_threshold
    return mask


def _first_of_equal(rows: Rows, kept: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of rows that agree in user, item, time, type and value the first one, in the order of `kept`."""
    values = np.nan_to_num(rows.values[kept], nan=-np.inf)
    columns = [rows.users[kept], rows.items[kept], rows.times[kept], rows.types[kept], values]
    order = np.lexsort([np.arange(len(kept)), *columns])
    same = np.ones(max(len(kept) - 1, 0), bool)
    for column in columns:
        same &= column[order][1:] == column[order][:-1]
    first = np.ones(len(kept), bool)
    first[order[1:][same]] = False
    return kept[first]


def _check_minimums(users: NDArray[np.int64], wanted: EventFilter) -> None:
    if len(users) < MIN_INTERACTIONS:
        after = "" if wanted.event_type is None else f" after filtering by event type: {wanted.event_type}"
        raise NotEnoughData(f"Dataset has fewer than {MIN_INTERACTIONS} interactions{after}")
    counts = np.unique(users, return_counts=True)[1]
    returning = int((counts >= 2).sum())
    if returning < MIN_USERS:
        raise NotEnoughData(
            f"Create failed. Dataset has fewer than {MIN_USERS} users with at least 2 interactions each."
        )
    if returning < MIN_RETURNING_SHARE * len(counts):
        raise NotEnoughData(
            f"Create failed. {returning} of the {len(counts)} users in the dataset have at least 2 interactions each; at "
            f"least {MIN_RETURNING_SHARE:.0%} must. Is USER_ID the id of a user, or of a visit?"
        )


def _joined(first: Rows, second: Rows) -> Rows:
    import pyarrow as pa

    user_ids, users = _one_dictionary(first.user_ids, second.user_ids)
    item_ids, items = _one_dictionary(first.item_ids, second.item_ids)
    type_names, types = _one_dictionary(
        pa.array(first.type_names, pa.string()), pa.array(second.type_names, pa.string())
    )
    return Rows(
        np.concatenate([first.users, users[second.users]]),
        np.concatenate([first.items, items[second.items]]),
        np.concatenate([first.times, second.times]),
        np.concatenate([first.types, np.where(second.types < 0, -1, np.append(types, -1)[second.types])]),
        np.concatenate([first.values, second.values]),
        user_ids,
        item_ids,
        type_names.to_pylist(),
    )


def _one_dictionary(first: pa.Array, second: pa.Array) -> tuple[pa.Array, NDArray[np.int64]]:
    """`first` with the new ids of `second` behind it, and each of `second`'s codes in it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    new = second.filter(pc.invert(pc.is_in(second, value_set=first)))
    both = pa.concat_arrays([first, new])
    return both, pc.index_in(second, value_set=both).to_numpy(zero_copy_only=False).astype(np.int64)


# Reading the frozen input -------------------------------------------------------------------------------------------


def read_inputs(inputs: Path) -> tuple[Rows, Rows, set[str]]:
    """Imported rows, streamed rows and the ids of the Items dataset from `data/inputs`."""
    import pyarrow.parquet as pq

    from pipelines.datasets.snapshot import Snapshot

    interactions, items = Snapshot.open(inputs / "interactions"), Snapshot.open(inputs / "items")
    imported = _empty_rows()
    if interactions.rows:
        user_ids, item_ids = interactions.ids("USER_ID"), interactions.ids("ITEM_ID")
        imported = _rows(interactions.table(), user_ids, item_ids)
    events = inputs / "events" / "events.parquet"
    streamed = _string_rows(pq.read_table(events)) if events.exists() else _empty_rows()
    known = items.ids("ITEM_ID").take(items.table(["ITEM_ID"])["ITEM_ID"]).to_pylist() if items.rows else []
    return imported, streamed, set(known)


def _rows(table: pa.Table, user_ids: pa.Array, item_ids: pa.Array) -> Rows:
    """Rows of a table whose id columns are codes into `user_ids` and `item_ids`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    types = np.full(len(table), -1)
    type_names: list[str] = []
    if "EVENT_TYPE" in table.column_names:
        encoded = pc.dictionary_encode(table["EVENT_TYPE"].cast(pa.string()).combine_chunks())
        types = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        type_names = encoded.dictionary.to_pylist()
    values = np.full(len(table), np.nan)
    if "EVENT_VALUE" in table.column_names:
        values = table["EVENT_VALUE"].cast(pa.float64()).fill_null(np.nan).to_numpy()
    users, items, times = (table[name].to_numpy().astype(np.int64) for name in ("USER_ID", "ITEM_ID", "TIMESTAMP"))
    return Rows(users, items, times, types, values, user_ids, item_ids, type_names)


def _string_rows(table: pa.Table) -> Rows:
    """Rows of a table whose id columns are strings."""
    ids: dict[str, Any] = {}
    for name in ("USER_ID", "ITEM_ID"):
        encoded = table[name].combine_chunks().dictionary_encode()
        ids[name] = encoded.dictionary
        table = table.set_column(table.column_names.index(name), name, encoded.indices)
    return _rows(table, ids["USER_ID"], ids["ITEM_ID"])


def _empty_rows() -> Rows:
    import pyarrow as pa

    none, ids = np.zeros(0, np.int64), pa.array([], pa.string())
    return Rows(none, none, none, none, np.zeros(0), ids, ids, [])


# Prepared data on disk ----------------------------------------------------------------------------------------------


def write_prepared(data: TrainingData, directory: Path) -> None:
    """Write `data` into `directory` (new): byte-stable arrays, ids and a summary."""
    directory.mkdir(parents=True)
    for name in ("offsets", "items", "times"):
        np.save(directory / f"{name}.npy", getattr(data.sequences, name))
    write_ids(directory, "item", data.item_ids)
    write_ids(directory, "user", data.user_ids)
    summary = {
        "interactions": len(data.sequences.items),
        "items": data.items,
        "users": len(data.user_ids),
        "catalogue_size": data.catalogue_size,
    }
    (directory / "summary.json").write_text(json.dumps(summary, indent=1, sort_keys=True) + "\n")


def read_prepared(directory: Path) -> TrainingData:
    """Read what `write_prepared` wrote."""
    summary = json.loads((directory / "summary.json").read_text())
    arrays = [np.load(directory / f"{name}.npy") for name in ("offsets", "items", "times")]
    return TrainingData(
        Sequences(*arrays),
        _all(read_ids(directory, "item")),
        _all(read_ids(directory, "user")),
        summary["catalogue_size"],
    )


def _all(table: IdTable) -> list[str]:
    return [table.id(code) for code in range(len(table))]
