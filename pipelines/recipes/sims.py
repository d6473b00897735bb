"""aws-sims (spec/recipes.md section 6): the items that users had together with an item, sooner or later.

    similarity(i, j) = sum over users with both of closeness / (users of i x users of j) ^ popularity_discount_factor

closeness = 1 / sqrt(d) for items d events apart in the user's history, up to WINDOW, and CO_INTERACTION for every pair.
With a discount of 0 what is popular beside i comes first, with 1 whatever was with i, however rare; 0.5 is a cosine.
Closeness is what the plain cosine lacks: what people look at in one go belongs together more than what they meet years
apart (tests/bench/related_bench.py: with every item 19 to 29 % more NDCG@25 than the best item-item model there, with
the default percentiles 7 to 17 %).

Which users and items count. A pair counts from `min_cointeraction_count` users on. Users whose history length is outside
their percentiles are left out, and so are items: percentiles of the counts that *interactions* meet, so that those at
the ends hold together 1 % and 10 % of the interactions. (Counted over items instead, 0.9 would leave out 43 to
59 % of the interactions of MovieLens, and with them nearly all films that anybody asks about.) An item that is left
out has no neighbours and is nobody's; it stays in the catalogue, and who asks for it gets what is popular.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pipelines.datasets.sequences import Sequences
from pipelines.recipes.tables import TableModel, TableRecipe, distinct_users
from pipelines.recipes.training_data import TrainingData
from pipelines.serving.parts import Neighbours

NEIGHBOURS = 500
"""As many as a request can ask for."""
WINDOW = 50
"""Events to each side within which closeness counts."""
CO_INTERACTION = 0.02
"""What a pair of one user counts however far apart: enough to order what never came close."""
CHUNK = 20_000_000
"""Pairs looked at in one go: about 0.5 GB."""


class SimsRecipe(TableRecipe):
    """Fits in one pass over pairs."""

    def table(self, data: TrainingData) -> TableModel:
        sequences = self._trainable(data.sequences, data.items)
        factor = float(self.settings.algorithm["popularity_discount_factor"])
        least = int(self.settings.algorithm["min_cointeraction_count"])
        popularity = distinct_users(data.sequences, data.items)
        return TableModel(popularity, neighbours(sequences, data.items, factor, least))

    def _trainable(self, sequences: Sequences, items: int) -> Sequences:
        """Users and items within the percentiles."""
        lengths = np.diff(sequences.offsets)
        users = sequences.of_users(np.flatnonzero(self._inside("user_history_length", lengths, lengths[lengths > 0])))
        counts = np.bincount(users.items, minlength=items)
        kept = self._inside("item_interaction_count", counts, counts[users.items])
        return users.where(kept[users.items])

    def _inside(self, name: str, values: NDArray[np.int64], population: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which `values` lie between the percentiles of `population`."""
        if not len(population):
            return np.zeros(len(values), np.bool_)
        bounds = [float(self.settings.featurization[f"{end}_{name}_percentile"]) for end in ("min", "max")]
        low, high = np.quantile(population, bounds)
        inside: NDArray[np.bool_] = (values >= low) & (values <= high)
        return inside


def neighbours(sequences: Sequences, items: int, discount: float, least: int) -> Neighbours:
    """The NEIGHBOURS most similar items of each, in order of code where equal; pairs of `least` users or more count."""
    events = _newest_of_each(sequences, items)
    users = np.bincount(events.items, minlength=items).astype(np.float64)
    scale = np.maximum(users, 1) ** -discount
    width = min(NEIGHBOURS, max(items - 1, 0))
    found, similarities = np.full((items, width), -1, np.int32), np.zeros((items, width), np.float32)
    for start, counts, closeness in _pairs(events, items):
        total = (closeness + CO_INTERACTION * counts).tocsr()
        rows, codes, values = _best(total, counts, start, scale, least)
        place = np.arange(len(rows)) - np.searchsorted(rows, rows)
        kept = place < width
        found[start + rows[kept], place[kept]] = codes[kept]
        similarities[start + rows[kept], place[kept]] = values[kept]
    return Neighbours(found, similarities)


def _best(
    total: sp.csr_matrix, counts: sp.csr_matrix, start: int, scale: NDArray[np.float64], least: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    """Row (ascending), item and similarity of every pair that counts, the best of each row first."""
    # Every pair of `closeness` is one of `counts`, so that sorted they lie alike.
    total.sort_indices()
    counts.sort_indices()
    rows = np.repeat(np.arange(total.shape[0]), np.diff(total.indptr))
    codes = total.indices
    kept = np.flatnonzero((counts.data >= least) & (codes != start + rows))
    rows, codes = rows[kept], codes[kept]
    values = total.data[kept] * scale[codes] * scale[start + rows]
    order = np.lexsort((codes, -values, rows))
    return rows[order], codes[order], values[order]


def _pairs(events: Sequences, items: int) -> Iterator[tuple[int, sp.csr_matrix, sp.csr_matrix]]:
    """For a chunk of items, that is rows from `start` on: (rows, items) users with both, and closeness."""
    lengths = np.diff(events.offsets)
    owner = np.repeat(np.arange(events.users), lengths)
    ones = np.ones(len(owner))
    had = sp.csr_matrix((ones, events.items, events.offsets), (events.users, items))
    by_item = np.argsort(events.items, kind="stable")
    borders = np.searchsorted(events.items[by_item], np.arange(items + 1))
    work = np.concatenate([[0], np.cumsum((lengths[owner] + 2 * WINDOW)[by_item])])[borders]
    steps = np.concatenate([-np.arange(WINDOW, 0, -1), np.arange(1, WINDOW + 1)])
    start = 0
    while start < items:
        end = max(start + 1, int(np.searchsorted(work, work[start] + CHUNK, "right")) - 1)
        rows = by_item[borders[start] : borders[end]]
        inside = borders[start : end + 1] - borders[start]
        users = sp.csr_matrix((ones[: len(rows)], owner[rows], inside), (end - start, events.users))
        others = rows[:, None] + steps
        known = (others >= events.offsets[owner[rows], None]) & (others < events.offsets[owner[rows] + 1, None])
        weights = np.broadcast_to(np.abs(steps) ** -0.5, known.shape)[known]
        limits = np.concatenate([[0], np.cumsum(known.sum(axis=1))])[inside]
        beside = sp.csr_matrix((weights, events.items[others[known]], limits), (end - start, items))
        # The product adds up what lies in one place, faster than sorting it would.
        yield start, (users @ had).tocsr(), (beside @ sp.identity(items, format="csr")).tocsr()
        start = end


def _newest_of_each(sequences: Sequences, items: int) -> Sequences:
    """Each user's newest event with each item: coming back to an item does not make it more of a neighbour."""
    owner = np.repeat(np.arange(sequences.users), np.diff(sequences.offsets))
    _, place = np.unique((owner * items + sequences.items)[::-1], return_index=True)
    kept = np.zeros(len(owner), np.bool_)
    kept[len(owner) - 1 - place] = True
    return sequences.where(kept)
