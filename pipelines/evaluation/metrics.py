"""AWS's offline metrics, as spec/training.md section 7.2 defines them.

All take the answers to the test users, `(users, 25) int64` item codes, best first, -1 after the last, and what each
user really did next. Values are rounded to 4 decimals, as AWS records them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LIST_LENGTH = 25
DECIMALS = 4


def offline_metrics(
    ranked: NDArray[np.int64], relevant: Sequence[NDArray[np.integer]], catalogue_size: int
) -> dict[str, float]:
    """The eight metrics of recommendation recipes under AWS's keys; zeros if there is no test user.

    `ranked` may be shorter than 25 where the catalogue is; `relevant[u]` are the distinct items of user u's newest
    10 %; `catalogue_size` counts the distinct items in Interactions and Items together.
    """
    hits = hit_matrix(ranked, relevant)
    counts = np.array([len(np.unique(items)) for items in relevant], np.int64)
    metrics = {
        "coverage": len(np.unique(ranked[ranked >= 0])) / catalogue_size if catalogue_size else 0.0,
        f"mean_reciprocal_rank_at_{LIST_LENGTH}": _mean(reciprocal_rank(hits)),
    }
    for k in (5, 10, 25):
        metrics[f"normalized_discounted_cumulative_gain_at_{k}"] = _mean(ndcg(hits, counts, k))
        metrics[f"precision_at_{k}"] = _mean(precision(hits, k))
    return {key: round(value, DECIMALS) for key, value in sorted(metrics.items())}


def hit_matrix(ranked: NDArray[np.int64], relevant: Sequence[NDArray[np.integer]]) -> NDArray[np.bool_]:
    """(users, 25): whether the item at each rank is relevant; ranks that a short list lacks are no hits."""
    hits = np.zeros((len(ranked), LIST_LENGTH), bool)
    for user, items in enumerate(relevant):
        hits[user, : ranked.shape[1]] = np.isin(ranked[user], items)
    return hits


def reciprocal_rank(hits: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(users,): 1 / rank of the best-placed hit, 0 without one."""
    ranks = hits.argmax(axis=1) + 1.0
    return np.where(hits.any(axis=1), 1.0 / ranks, 0.0)


def ndcg(hits: NDArray[np.bool_], relevant_counts: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """(users,): DCG over the first k ranks / the DCG of a list with all min(relevant, k) hits on top."""
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discounts)])[np.minimum(relevant_counts, k)]
    gained = hits[:, :k] @ discounts
    shares: NDArray[np.float64] = np.divide(gained, ideal, out=np.zeros_like(gained), where=ideal > 0)
    return shares


def precision(hits: NDArray[np.bool_], k: int) -> NDArray[np.float64]:
    """(users,): hits among the first k / k."""
    shares: NDArray[np.float64] = hits[:, :k].sum(axis=1) / k
    return shares


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0
