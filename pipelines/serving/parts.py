"""What an artefact consists of: parts that every one has, and the one that says how it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.serving.columns import FilterData
from pipelines.serving.vocabulary import Bags, Vocabulary

HISTORY_LENGTH = 500
"""How many of a user's newest events are kept, unless a recipe says otherwise."""


@dataclass(frozen=True)
class Histories:
    """What each user did, oldest first, one user after the other: user u's events are [offsets[u], offsets[u + 1])."""

    offsets: NDArray[np.int64]
    items: NDArray[np.int32]
    times: NDArray[np.int64]

    def newest(self, length: int) -> Histories:
        """Only the newest `length` events of each user."""
        counts = np.diff(self.offsets)
        # How many newer events of the same user follow each event.
        following = np.repeat(self.offsets[1:], counts) - np.arange(1, len(self.items) + 1)
        kept = following < length
        offsets = np.zeros(len(self.offsets), np.int64)
        np.cumsum(np.minimum(counts, length), out=offsets[1:])
        return Histories(offsets, self.items[kept], self.times[kept])


@dataclass(frozen=True)
class Catalogue:
    """Items, users and what they did: every artefact has it."""

    item_ids: Sequence[str]
    user_ids: Sequence[str]
    histories: Histories
    popularity: NDArray[np.float32]
    """(items,) logits of a user of whom nothing is known."""
    created: NDArray[np.int64]
    """(items,) epoch seconds at which each item came to be."""
    interactions: NDArray[np.int64]
    """(items,) events that training saw."""
    shown: NDArray[np.int64]
    """(items,) impressions that training saw whose user took another item."""
    newest: int
    """Epoch seconds of the newest interaction of the training: what ages of items are counted from."""
    history_length: int = HISTORY_LENGTH
    filter_data: FilterData | None = None
    """What filters read; None: the version cannot be asked with a filter."""


@dataclass(frozen=True)
class Side:
    """What metadata and context add: a user's vector gains the weighted rows of `matrix` of the user's and the
    situation's values; an item's vector holds those of `item_matrix` already, which are kept to tell why."""

    users: Vocabulary
    context: Vocabulary
    matrix: NDArray[np.float32]
    """(values of `users`, then of `context`; dimension)."""
    user_bags: Bags
    items: Vocabulary
    item_matrix: NDArray[np.float32]
    """(values of `items`, dimension)."""
    item_bags: Bags


@dataclass(frozen=True)
class Encoding:
    """Answers by an inner product: an encoder makes the user's vector from the vectors of the newest events."""

    item_matrix: NDArray[np.float32]
    """(items, dimension): w_i of spec/recipes.md section 2."""
    encoder: bytes
    """ONNX: `vectors` float32 (1, length, input dimension), oldest first, and, if it declares it, `gaps` float32
    (1, length) -> float32 (1, dimension): the user's w_u."""
    encoder_length: int
    """How many of a user's newest events it reads; older ones count for `repeat` only."""
    repeat: NDArray[np.float32] | None = None
    """(history_length,) what an item's logit gains if the user's newest event with it is their newest, second newest,
    ... event: whether people come back to an item. None: nothing."""
    input_matrix: NDArray[np.float32] | None = None
    """(items, input dimension): how an item enters the encoder; None: as in `item_matrix`."""
    side: Side | None = None


@dataclass(frozen=True)
class Neighbours:
    """Answers by a table: the items that go with an item, the same for everybody."""

    items: NDArray[np.int32]
    """(items, k) item codes, best first; -1 after the last."""
    similarities: NDArray[np.float32]
    """(items, k) falling along each row."""

    def of(self, item: int) -> NDArray[np.int32]:
        """Codes of the items that go with one, best first."""
        row: NDArray[np.int32] = self.items[item]
        return row[row >= 0]

    def logits(self, item: int, popularity: NDArray[np.float32]) -> NDArray[np.float32]:
        """(items,) the item's neighbours above all others, those by popularity; -inf of the item itself."""
        row = self.of(item)
        logits: NDArray[np.float32] = popularity - popularity.max()
        logits[row] = np.arange(len(row), 0, -1)
        logits[item] = -np.inf
        return logits
