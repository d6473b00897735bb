"""What every recipe is fitted on, in memory and on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.sequences import Sequences
from pipelines.serving.column_files import FILTERS, read_filter_data, write_filter_data
from pipelines.serving.columns import FilterData
from pipelines.serving.ids import IdTable, read_ids, write_ids
from pipelines.serving.parts import Catalogue, Histories
from pipelines.serving.vocabulary import Bags, Vocabulary


@dataclass(frozen=True)
class Features:
    """What a dataset says of each item or user."""

    vocabulary: Vocabulary
    bags: Bags
    """One row an item or user."""

    @classmethod
    def none(cls, rows: int) -> Features:
        """Nothing is known of any row."""
        return cls(Vocabulary(), Bags.empty(rows))


@dataclass(frozen=True)
class TrainingData:
    """What every recipe is fitted on.

    Item and user codes are positions in `item_ids` and `user_ids`. Items of the Items dataset and users of the Users
    dataset that have no interaction are among them if the recipe uses those datasets; such users' sequences are empty.
    """

    sequences: Sequences
    item_ids: Sequence[str]
    user_ids: Sequence[str]
    catalogue_size: int
    """Distinct items in Interactions and Items together: the denominator of `coverage`."""
    item_features: Features
    user_features: Features
    context: Vocabulary
    """Of `sequences.context`, whose columns are this vocabulary's columns."""
    created: NDArray[np.int64]
    """(items,) epoch seconds at which each item came to be (spec/datasets.md section 3)."""
    shown: NDArray[np.int64]
    """(items,) how often an impression had the item and its user took another."""
    dated: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    """(items,) whether `created` is the item's CREATION_TIMESTAMP rather than made from interactions; (0,) if no
    item's is."""
    histories: Histories | None = None
    """What users did as far as serving has it from here; None: `sequences`. Another in an update (updating.py)."""
    filter_data: FilterData | None = None
    """What filters read; None: nobody will filter."""

    @classmethod
    def plain(cls, sequences: Sequences, item_ids: Sequence[str], user_ids: Sequence[str]) -> TrainingData:
        """Interactions only: no metadata, no context, no impressions."""
        items = len(item_ids)
        return cls(
            sequences,
            item_ids,
            user_ids,
            items,
            Features.none(items),
            Features.none(len(user_ids)),
            Vocabulary(),
            first_seen(sequences, items),
            np.zeros(items, np.int64),
        )

    @property
    def items(self) -> int:
        return len(self.item_ids)

    @property
    def newest(self) -> int:
        """Epoch seconds of the newest interaction; 0 without one."""
        return int(self.sequences.times.max(initial=0))

    def catalogue(self, popularity: NDArray[np.float32]) -> Catalogue:
        """What every artefact has of it."""
        sequences = self.sequences
        return Catalogue(
            self.item_ids,
            self.user_ids,
            self.histories or Histories(sequences.offsets, sequences.items, sequences.times),
            popularity,
            self.created,
            np.bincount(sequences.items, minlength=self.items),
            self.shown,
            self.newest,
            filter_data=self.filter_data,
        )

    def of_users(self, users: NDArray[np.integer], sequences: Sequences | None = None) -> TrainingData:
        """The same catalogue with these users only, with `sequences` (theirs, in their order) if given."""
        bags = self.user_features.bags.of(users)
        return replace(
            self,
            sequences=self.sequences.of_users(users) if sequences is None else sequences,
            user_ids=[self.user_ids[user] for user in users.tolist()],
            user_features=replace(self.user_features, bags=bags),
            filter_data=None,
        )


def first_seen(sequences: Sequences, items: int) -> NDArray[np.int64]:
    """(items,) time of each item's oldest interaction; of an item without one that of the newest of all."""
    seen = np.full(items, np.iinfo(np.int64).max)
    np.minimum.at(seen, sequences.items, sequences.times)
    found: NDArray[np.int64] = np.minimum(seen, sequences.times.max(initial=0))
    return found


# On disk -------------------------------------------------------------------------------------------------------------


def write_prepared(data: TrainingData, directory: Path) -> None:
    """Write `data` into `directory` (new): byte-stable arrays, ids and a summary."""
    directory.mkdir(parents=True)
    for name in ("offsets", "items", "times", "context"):
        np.save(directory / f"{name}.npy", getattr(data.sequences, name))
    np.save(directory / "created.npy", data.created)
    np.save(directory / "shown.npy", data.shown)
    np.save(directory / "dated.npy", data.dated)
    for name, features in (("item", data.item_features), ("user", data.user_features)):
        for part in ("offsets", "codes", "weights"):
            np.save(directory / f"{name}_feature_{part}.npy", getattr(features.bags, part))
    write_ids(directory, "item", data.item_ids)
    write_ids(directory, "user", data.user_ids)
    vocabularies = {
        "items": data.item_features.vocabulary.to_json(),
        "users": data.user_features.vocabulary.to_json(),
        "context": data.context.to_json(),
    }
    filters = None if data.filter_data is None else write_filter_data(directory, data.filter_data)[1]
    (directory / "vocabularies.json").write_text(json.dumps(vocabularies, indent=1, ensure_ascii=False) + "\n", "utf-8")
    summary = {
        "interactions": len(data.sequences.items),
        "items": data.items,
        "users": len(data.user_ids),
        "catalogue_size": data.catalogue_size,
        "item_values": data.item_features.vocabulary.size,
        "user_values": data.user_features.vocabulary.size,
        "context_values": data.context.size,
        FILTERS: filters,
    }
    (directory / "summary.json").write_text(json.dumps(summary, indent=1, sort_keys=True) + "\n")


def read_prepared(directory: Path) -> TrainingData:
    """Read what `write_prepared` wrote."""
    summary = json.loads((directory / "summary.json").read_text())
    vocabularies = json.loads((directory / "vocabularies.json").read_text("utf-8"))

    def array(name: str) -> Any:
        return np.load(directory / f"{name}.npy")

    def features(name: str) -> Features:
        offsets, codes, weights = (
            np.load(directory / f"{name}_feature_{p}.npy") for p in ("offsets", "codes", "weights")
        )
        return Features(Vocabulary.from_json(vocabularies[f"{name}s"]), Bags(offsets, codes, weights))

    return TrainingData(
        Sequences(*(np.load(directory / f"{name}.npy") for name in ("offsets", "items", "times", "context"))),
        _all(read_ids(directory, "item")),
        _all(read_ids(directory, "user")),
        summary["catalogue_size"],
        features("item"),
        features("user"),
        Vocabulary.from_json(vocabularies["context"]),
        array("created"),
        array("shown"),
        array("dated"),
        filter_data=summary[FILTERS] and read_filter_data(directory, summary[FILTERS], array),
    )


def _all(table: IdTable) -> list[str]:
    return table.ids(range(len(table)))
