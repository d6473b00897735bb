"""Where item vectors start from: what a singular value decomposition sees in who had events with what.

A fit has time for few steps, and most items have few events; from a random start neither is enough (MovieLens-100K,
seed 0: NDCG@25 0.233 instead of 0.244; ml-latest-small: NDCG@10 0.023 after training, where this start has 0.030 before
the first step). So the model starts as an item-to-item recommender: with the matrix X[u, i] = 1 / sqrt(events of u x (users of i + SHRINKAGE)) for
every item i that user u had an event with, X = U S V' cut to the largest singular values, item i starts as row i of
V sqrt(S) over sqrt(users of i + SHRINKAGE). The inner product of two items is then, but for a scale, how much more
often they go together than their popularity explains (Greenacre, Correspondence Analysis in Practice, 2017), smoothed.
The largest singular value says only what is popular, which biases do, and is left out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.sequences import Sequences

SHRINKAGE = 50.0
"""Users: 5 are worse on ml-latest-small and MovieLens-100K alike."""
OVERSAMPLED = 10
POWER_ITERATIONS = 4
"""Halko et al., Finding structure with randomness, SIAM Review 53, 2 (2011), algorithm 4.4."""


def item_start(sequences: Sequences, items: int, dimension: int, norm: float) -> NDArray[np.float32]:
    """(items, dimension), rows of mean norm `norm`; zeros beyond the rank that there is. The same at every call."""
    from scipy import sparse

    user = np.repeat(np.arange(sequences.users), np.diff(sequences.offsets))
    pairs = np.unique(user * items + sequences.items)
    user, item = np.divmod(pairs, items)
    per_user, per_item = np.bincount(user, minlength=sequences.users), np.bincount(item, minlength=items)
    shrunk = (per_item + SHRINKAGE) ** -0.5
    values = per_user[user] ** -0.5 * shrunk[item]
    matrix = sparse.csr_array((values, (user, item)), shape=(sequences.users, items))
    width = min(dimension + 1 + OVERSAMPLED, items, sequences.users)
    basis = np.random.default_rng(0).normal(size=(items, width))
    for _ in range(POWER_ITERATIONS):
        basis = np.linalg.qr(matrix.T @ np.linalg.qr(matrix @ basis)[0])[0]
    _, strengths, directions = np.linalg.svd(matrix @ basis, full_matrices=False)
    kept = slice(1, min(dimension + 1, width))
    vectors = (basis @ directions[kept].T) * np.sqrt(strengths[kept]) * shrunk[:, None]
    start = np.zeros((items, dimension), np.float32)
    size = np.linalg.norm(vectors, axis=1).mean() if vectors.size else 0.0
    if size > 0:
        start[:, : vectors.shape[1]] = vectors * (norm / size)
    return start
