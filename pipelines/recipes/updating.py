"""An update's data: what a model was fitted on, carried on with newer items and counts (spec/training.md section 4).

Items and users keep the places that they had, new ones stand behind them: what does not change is then the same bytes
in every update, which DVC keeps and sends once.

Users' histories stay those of the fit. Newer events that were streamed are read for every request anyway, by users and
anonymous sessions alike, and a session's events are not its user's before the next full training; interactions that
were imported count for users from then on too (spec/datasets.md sections 6 and 8.1). So the numbers up to which the
runtime takes events for known do not move with an update, and none is lost or counted twice while it is swapped in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.sequences import Sequences
from pipelines.recipes.training_data import Features, TrainingData
from pipelines.serving.columns import FilterData
from pipelines.serving.parts import Histories


def carried_on(old: TrainingData, new: TrainingData) -> TrainingData:
    """`new` in the order of `old`, with the histories of `old`.

    Items that `new` lacks are gone, and with them their events in histories. Users that it lacks keep their histories:
    that bulk data was replaced acts on users with the next full training only.
    """
    items, users = _Order.of(old.item_ids, new.item_ids), _Order.of(old.user_ids, new.user_ids)
    kept = items.source[: len(old.item_ids)] >= 0
    # Where each item of `new` has come to stand.
    present = items.source[items.source >= 0]
    places = np.empty(new.items, np.int32)
    places[present] = np.arange(len(present), dtype=np.int32)
    return replace(
        new,
        sequences=_of_users(replace(new.sequences, items=places[new.sequences.items]), users.source),
        item_ids=[new.item_ids[source] for source in present.tolist()],
        user_ids=[*old.user_ids, *(new.user_ids[source] for source in users.added.tolist())],
        item_features=_of(new.item_features, present),
        user_features=_of(new.user_features, users.source),
        created=new.created[present],
        shown=new.shown[present],
        dated=new.dated[present] if len(new.dated) else new.dated,
        histories=_histories(old.sequences, kept, len(users.added)),
        filter_data=_filter_data(old.filter_data, new.filter_data, kept, present, users.source),
    )


@dataclass(frozen=True)
class _Order:
    """Ids of before, then those that are new."""

    source: NDArray[np.int64]
    """(before + new,) place among the newer ids, -1 for what is gone."""
    added: NDArray[np.int64]
    """Places among the newer ids of those that are new."""

    @classmethod
    def of(cls, before: Sequence[str], now: Sequence[str]) -> _Order:
        places = {identifier: place for place, identifier in enumerate(now)}
        known = np.array([places.get(identifier, -1) for identifier in before], np.int64)
        is_new = np.ones(len(now), np.bool_)
        is_new[known[known >= 0]] = False
        added = np.flatnonzero(is_new)
        return cls(np.concatenate([known, added]), added)


def _of(features: Features, rows: NDArray[np.int64]) -> Features:
    return replace(features, bags=features.bags.of(rows))


def _of_users(sequences: Sequences, users: NDArray[np.int64]) -> Sequences:
    """These users' sequences, an empty one for -1."""
    with_none = replace(sequences, offsets=np.append(sequences.offsets, sequences.offsets[-1]))
    return with_none.of_users(np.where(users < 0, sequences.users, users))


def _histories(sequences: Sequences, kept: NDArray[np.bool_], new_users: int) -> Histories:
    """Events with the items of the mask `kept`, in the codes that those have; none for the users who follow."""
    codes = (np.cumsum(kept) - 1).astype(np.int32)
    left = sequences.where(kept[sequences.items])
    offsets = np.append(left.offsets, np.full(new_users, left.offsets[-1]))
    return Histories(offsets, codes[left.items], left.times)


def _filter_data(
    old: FilterData | None,
    new: FilterData | None,
    kept: NDArray[np.bool_],
    items: NDArray[np.int64],
    users: NDArray[np.int64],
) -> FilterData | None:
    """Newer columns beside what users had touched before, as with histories."""
    if old is None or new is None:
        return None
    had = np.where(np.arange(len(users)) < len(old.users.described), np.arange(len(users)), -1)
    codes = np.where(kept, np.cumsum(kept) - 1, -1)
    return FilterData(new.items.of(items), new.users.of(users), old.touched.of(had, codes))
