"""From a frozen input to training data: interactions, imported and streamed, become one set of sequences.

Which rows there are is settled before (pipelines.datasets.joining); here come the solution's event type and value filter and
the minimums of spec/datasets.md section 7. Items and users are those that are left, numbered from 0 in the order in
which they first came in; those that only the Items and Users datasets name follow by id. 25 million imported and a million streamed interactions take 39 CPU seconds and 2.9 GiB.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.schema import ARRIVAL, EVENT_TYPE, EVENT_VALUE, MAX_TYPES_AND_COLUMNS, optional_columns
from pipelines.datasets.sequences import Sequences, make_sequences
from pipelines.recipes.features import context, features, usable
from pipelines.recipes.filter_data import Events, columns, event_types, filterable
from pipelines.recipes.inputs import Inputs
from pipelines.recipes.training_data import Features, TrainingData, first_seen
from pipelines.serving.columns import FilterData
from pipelines.serving.vocabulary import Vocabulary

if TYPE_CHECKING:
    import pyarrow as pa

MIN_INTERACTIONS = 1000
MIN_USERS = 25
MIN_RETURNING_SHARE = 0.01
"""Of the users, with at least two interactions (spec/resources.md section 6)."""


class NotEnoughData(ValueError):
    """The data cannot be trained on; the message is the version's failureReason (spec/resources.md section 6)."""


@dataclass(frozen=True)
class EventFilter:
    """Which interactions a solution trains on (spec/training.md section 1)."""

    event_type: str | None = None
    value_threshold: float | None = None
    """Rows whose EVENT_VALUE is smaller or missing are left out."""


@dataclass(frozen=True)
class Wanted:
    """What a solution makes of its inputs."""

    events: EventFilter = EventFilter()
    metadata: bool = False
    """Whether items and users are described by their datasets, and are there without interactions."""
    context: bool = False
    """Whether interactions come with their situation."""
    columns: Mapping[str, Collection[str]] = field(default_factory=dict)
    """By dataset type the columns that may be used (training_columns.py); all of a type that is missing here."""


def prepare(inputs: Inputs, wanted: Wanted) -> TrainingData:
    """Filter, number, order, describe; raises NotEnoughData."""
    import pyarrow as pa

    described = inputs
    inputs = inputs.only(wanted.columns)
    interactions = inputs.interactions
    item_ids, user_ids = _dictionary(interactions["ITEM_ID"]), _dictionary(interactions["USER_ID"])
    kept = _wanted(interactions, wanted.events)
    of_items, of_users = (_numbered(_codes(interactions[name]), kept) for name in ("ITEM_ID", "USER_ID"))
    _check_minimums(of_users.codes[kept], wanted.events)
    items, people = item_ids.take(of_items.kept).to_pylist(), user_ids.take(of_users.kept).to_pylist()
    in_items = set(inputs.items["ITEM_ID"].to_pylist())
    catalogue = in_items.union(items, item_ids.take(of_items.others).to_pylist())
    if wanted.metadata:
        items += sorted(in_items.difference(items))
    # Nobody learns from them, but filters know them.
    people += user_ids.take(of_users.others).to_pylist()
    people += sorted(set(inputs.users["USER_ID"].to_pylist()).difference(people))
    vocabulary, situations = Vocabulary(), None
    if wanted.context:
        fields = usable(inputs.schemas["INTERACTIONS"])
        vocabulary, situations = context(interactions.select([f.name for f in fields]).filter(pa.array(kept)), fields)
    times, arrivals = (interactions[name].to_numpy() for name in ("TIMESTAMP", ARRIVAL))
    types, type_codes = event_types(interactions)
    beside = Events.context(situations, type_codes, kept)
    events = Events(make_sequences(of_users.codes, of_items.codes, times, arrivals, len(people), beside))
    sequences = events.trained()
    item_features, user_features = Features.none(len(items)), Features.none(len(people))
    if wanted.metadata:
        item_features = features(inputs.items, "ITEM_ID", items, usable(inputs.schemas["ITEMS"]))
        user_features = features(inputs.users, "USER_ID", people, usable(inputs.schemas["USERS"]))
    came, dated = created(inputs.items, items, sequences)
    return TrainingData(
        sequences,
        items,
        people,
        len(catalogue),
        item_features,
        user_features,
        vocabulary,
        came,
        shown(interactions, items) + shown_implicitly(inputs.shown, items),
        dated,
        filter_data=FilterData(
            columns(described.items, "ITEM_ID", items, filterable(described.schemas["ITEMS"])),
            columns(described.users, "USER_ID", people, filterable(described.schemas["USERS"])),
            events.touched(types, len(of_items.kept)),
        ),
    )


def created(items: pa.Table, ids: Sequence[str], sequences: Sequences) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(items,) epoch seconds: CREATION_TIMESTAMP, else the item's oldest interaction, else the newest of all.

    And (items,) whether it is CREATION_TIMESTAMP."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = first_seen(sequences, len(ids))
    if "CREATION_TIMESTAMP" in items.column_names and items.num_rows:
        row = pc.index_in(pa.array(ids, pa.string()), value_set=items["ITEM_ID"].combine_chunks())
        given = items["CREATION_TIMESTAMP"].combine_chunks().cast(pa.int64()).take(row)
        known = given.is_valid().to_numpy(zero_copy_only=False)
        found[known] = given.drop_null().to_numpy()
        return found, known
    return found, np.zeros(len(ids), np.bool_)


def shown(interactions: pa.Table, ids: Sequence[str]) -> NDArray[np.int64]:
    """(items,) how often an impression had the item and its user took another; of all event types."""
    import pyarrow as pa
    import pyarrow.compute as pc

    counts = np.zeros(len(ids), np.int64)
    if "IMPRESSION" not in interactions.column_names:
        return counts
    seen = interactions.select(["IMPRESSION", "ITEM_ID"]).filter(pc.is_valid(interactions["IMPRESSION"]))
    lists = pc.split_pattern(seen["IMPRESSION"].combine_chunks(), "|")
    took = seen["ITEM_ID"].cast(pa.string()).combine_chunks().take(pc.list_parent_indices(lists))
    impressions = pc.list_flatten(lists)
    others = impressions.filter(pc.not_equal(impressions, took))
    codes = pc.index_in(others, value_set=pa.array(ids, pa.string())).drop_null()
    np.add.at(counts, codes.to_numpy(zero_copy_only=False), 1)
    return counts


def shown_implicitly(counted: pa.Table, ids: Sequence[str]) -> NDArray[np.int64]:
    """(items,) the same of the lists that events refer to: SHOWN of `counted`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    counts = np.zeros(len(ids), np.int64)
    codes = pc.index_in(counted["ITEM_ID"], value_set=pa.array(ids, pa.string()))
    known = codes.is_valid()
    # An update counts from two tables.
    np.add.at(counts, codes.filter(known).to_numpy(), counted["SHOWN"].filter(known).to_numpy())
    return counts


def _wanted(interactions: pa.Table, wanted: EventFilter) -> NDArray[np.bool_]:
    """Which rows the solution trains on; raises NotEnoughData for too many event types and columns, or one too few."""
    import pyarrow.compute as pc

    _check_columns(interactions, wanted)
    mask = np.ones(len(interactions), bool)
    if wanted.event_type is not None:
        mask &= _true(pc.equal(interactions[EVENT_TYPE], wanted.event_type))
    if wanted.value_threshold is not None:
        mask &= _true(pc.greater_equal(interactions[EVENT_VALUE], wanted.value_threshold))
    return mask


def _check_columns(interactions: pa.Table, wanted: EventFilter) -> None:
    import pyarrow.compute as pc

    columns = interactions.column_names
    needed = (
        ("eventType", wanted.event_type, EVENT_TYPE),
        ("eventValueThreshold", wanted.value_threshold, EVENT_VALUE),
    )
    for member, value, column in needed:
        if value is not None and column not in columns:
            raise NotEnoughData(
                f"Create failed. The solution's {member} needs the column {column}, which the Interactions dataset lacks."
            )
    optional = optional_columns(columns)
    types = len(pc.unique(interactions[EVENT_TYPE]).drop_null()) if EVENT_TYPE in columns else 0
    if types + len(optional) > MAX_TYPES_AND_COLUMNS:
        raise NotEnoughData(
            f"Create failed. The Interactions dataset has {types} distinct event types and {len(optional)} optional "
            f"columns ({', '.join(optional)}); together at most {MAX_TYPES_AND_COLUMNS} can be trained on. Merge event "
            "types, or name columns in trainingDataConfig.excludedDatasetColumns."
        )


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


@dataclass(frozen=True)
class _Numbered:
    """Codes as places among those in use: np.unique without sorting."""

    kept: NDArray[np.int64]
    """The old codes of the kept rows, which come first."""
    others: NDArray[np.int64]
    """Those that only other rows have."""
    codes: NDArray[np.int32]
    """(rows,) each row's place."""


def _numbered(codes: NDArray[np.int32], kept: NDArray[np.bool_]) -> _Numbered:
    size = int(codes.max(initial=-1)) + 1
    used, there = np.zeros(size, bool), np.zeros(size, bool)
    used[codes[kept]] = True
    there[codes] = True
    others = there & ~used
    places = np.where(used, np.cumsum(used) - 1, used.sum() + np.cumsum(others) - 1).astype(np.int32)
    return _Numbered(np.flatnonzero(used), np.flatnonzero(others), places[codes])


def _dictionary(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    return column.chunk(0).dictionary if column.num_chunks else pa.array([], pa.string())


def _codes(column: pa.ChunkedArray) -> NDArray[np.int32]:
    """(rows,) int32 into the dictionary that all chunks share."""
    chunks = [chunk.indices.to_numpy(zero_copy_only=False) for chunk in column.chunks]
    return np.concatenate(chunks) if chunks else np.zeros(0, np.int32)
