"""Whether a score of 0.1 means that one in ten of such items is the next one: a reliability table and its error.

Asked are the test users, in the situation of their first held-out event; looked at are the items that they are
recommended, each with its score (the probability that this item is the next one) and with whether it was. The pairs
are binned by score, and in each bin the mean score is compared with the share that came true:

    ECE = sum over bins of (pairs in the bin / all pairs) x |share that came true - mean score|

the expected calibration error of Guo et al., On calibration of modern neural networks (ICML 2017), section 2. Their
bins are of equal width; scores here span orders of magnitude, so there are two bins to a power of ten. Few users make
an ECE above 0 of perfect scores too; `by_chance` is what those would have:

    sum over bins of sqrt(2 / pi x sum of s (1 - s) over the bin's scores s) / all pairs

(the mean deviation of a sum of independent trials by the normal law; rather too large where a bin expects less than
one hit). A campaign that explores changes scores after this; measured is the model.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.reports import Report, not_measurable, rounded

EDGES = 10.0 ** (np.arange(-8, 1) / 2)
"""Upper ends of the bins: 0.0001, 0.0003, ..., 0.3, 1; the first begins at 0. An upper end belongs to its bin."""


class Reliability:
    """Takes the answers one after the other, so that none has to be kept."""

    def __init__(self) -> None:
        bins = len(EDGES)
        self._queries = 0
        self._pairs = np.zeros(bins, np.int64)
        self._scores = np.zeros(bins)
        self._variance = np.zeros(bins)
        self._hits = np.zeros(bins, np.int64)

    def add(self, scores: NDArray[np.float64], hits: NDArray[np.bool_]) -> None:
        """One answer: the (n,) scores of its items, and whether each was the next one."""
        bins, at = len(EDGES), np.searchsorted(EDGES[:-1], scores)
        self._queries += 1
        self._pairs += np.bincount(at, minlength=bins)
        self._scores += np.bincount(at, scores, minlength=bins)
        self._variance += np.bincount(at, scores * (1 - scores), minlength=bins)
        self._hits += np.bincount(at, hits, minlength=bins).astype(np.int64)

    def report(self) -> Report:
        """queries, mean_score, hit_rate (means over all pairs), ece, by_chance, and the bins that are not empty."""
        pairs = int(self._pairs.sum())
        if not pairs:
            return not_measurable("there are no test users")
        return {
            "queries": self._queries,
            "mean_score": rounded(self._scores.sum() / pairs),
            "hit_rate": rounded(self._hits.sum() / pairs),
            "ece": rounded(np.abs(self._hits - self._scores).sum() / pairs),
            "by_chance": rounded(np.sqrt(2 / np.pi * self._variance).sum() / pairs),
            "bins": [
                {
                    "up_to": rounded(EDGES[at]),
                    "pairs": int(self._pairs[at]),
                    "score": rounded(self._scores[at] / self._pairs[at]),
                    "came_true": rounded(self._hits[at] / self._pairs[at]),
                }
                for at in np.flatnonzero(self._pairs)
            ],
        }
