"""From a frozen input to training data: interactions, imported and streamed, become one set of sequences.

Which rows there are is settled before (pipelines.datasets.joining); here come the solution's event type and value filter and
the minimums of spec/datasets.md section 7. Items and users are those that are left, numbered from 0 in the order in
which they first came in. 25 million imported and a million streamed interactions take 39 CPU seconds and 2.9 GiB.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.schema import ARRIVAL
from pipelines.datasets.sequences import Sequences, make_sequences
from pipelines.serving.ids import IdTable, read_ids, write_ids

if TYPE_CHECKING:
    import pyarrow as pa

MIN_INTERACTIONS = 1000
MIN_USERS = 25
MIN_RETURNING_SHARE = 0.01
"""Of the users, with at least two interactions (spec/resources.md section 6)."""
MAX_EVENT_TYPES = 10
COLUMNS = ("USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE", "EVENT_VALUE", ARRIVAL)
"""Of Interactions, as far as the recipes use them."""


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


def prepare(interactions: pa.Table, items_dataset: set[str], wanted: EventFilter) -> TrainingData:
    """Filter, number, order; raises NotEnoughData.

    `interactions` as `read_inputs` gives them; `items_dataset`: ids in the Items dataset.
    """
    item_ids, user_ids = _dictionary(interactions["ITEM_ID"]), _dictionary(interactions["USER_ID"])
    items = _codes(interactions["ITEM_ID"])
    catalogue = items_dataset.union(item_ids.take(_numbered(items, len(item_ids))[0]).to_pylist())
    kept = _wanted(interactions, wanted)
    users, user_codes = _numbered(_codes(interactions["USER_ID"])[kept], len(user_ids))
    _check_minimums(user_codes, wanted)
    taken, item_codes = _numbered(items[kept], len(item_ids))
    times, arrivals = (interactions[name].to_numpy()[kept] for name in ("TIMESTAMP", ARRIVAL))
    return TrainingData(
        make_sequences(user_codes, item_codes, times, arrivals, len(users)),
        item_ids.take(taken).to_pylist(),
        user_ids.take(users).to_pylist(),
        len(catalogue),
    )


def _wanted(interactions: pa.Table, wanted: EventFilter) -> NDArray[np.bool_]:
    """Which rows the solution trains on; raises NotEnoughData when there are too many event types to train at all."""
    import pyarrow as pa
    import pyarrow.compute as pc

    mask = np.ones(len(interactions), bool)
    types = (
        interactions["EVENT_TYPE"] if "EVENT_TYPE" in interactions.column_names else pa.chunked_array([], pa.string())
    )
    distinct = len(pc.unique(types).drop_null())
    if distinct > MAX_EVENT_TYPES:
        raise NotEnoughData(
            f"Create failed. Dataset has {distinct} distinct event types; at most {MAX_EVENT_TYPES} can be trained on."
        )
    if wanted.event_type is not None:
        mask &= _true(pc.equal(types, wanted.event_type)) if distinct else False
    if wanted.value_threshold is not None:
        has_value = "EVENT_VALUE" in interactions.column_names
        mask &= _true(pc.greater_equal(interactions["EVENT_VALUE"], wanted.value_threshold)) if has_value else False
    return mask


def _true(answers: pa.ChunkedArray) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = answers.fill_null(False).to_numpy()
    return found


def _check_minimums(users: NDArray[np.int32], wanted: EventFilter) -> None:
    if len(users) < MIN_INTERACTIONS:
        after = "" if wanted.event_type is None else f" after filtering by event type: {wanted.event_type}"
        raise NotEnoughData(f"Dataset has fewer than {MIN_INTERACTIONS} interactions{after}")
    counts = np.bincount(users)
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


def _numbered(codes: NDArray[np.int32], size: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The codes in use, and each of `codes` as its place among them: np.unique without sorting."""
    used = np.zeros(size, bool)
    used[codes] = True
    places = np.cumsum(used, dtype=np.int32) - 1
    return np.flatnonzero(used), places[codes]


def _dictionary(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    return column.chunk(0).dictionary if column.num_chunks else pa.array([], pa.string())


def _codes(column: pa.ChunkedArray) -> NDArray[np.int32]:
    """(rows,) int32 into the dictionary that all chunks share."""
    chunks = [chunk.indices.to_numpy(zero_copy_only=False) for chunk in column.chunks]
    return np.concatenate(chunks) if chunks else np.zeros(0, np.int32)


def read_inputs(inputs: Path) -> tuple[pa.Table, set[str]]:
    """The interactions that count and the ids of the Items dataset, from `data/inputs`.

    USER_ID and ITEM_ID are dictionary-encoded; EVENT_TYPE and EVENT_VALUE are there if the schema has them.
    """
    import pyarrow.parquet as pq

    from pipelines.datasets.joining import joined
    from pipelines.datasets.snapshot import Snapshot

    streamed = pq.read_table(inputs / "streamed" / "interactions.parquet")
    used = [name for name in COLUMNS if name in streamed.column_names]
    interactions = joined(Snapshot.open(inputs / "interactions"), streamed, used)
    put = pq.read_table(inputs / "streamed" / "items.parquet")
    items = joined(Snapshot.open(inputs / "items"), put, ["ITEM_ID"])
    return interactions, set(items["ITEM_ID"].to_pylist())


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
