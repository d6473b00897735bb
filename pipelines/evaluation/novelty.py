"""How far from obvious the recommended items are: mean self-information, in bits.

novelty = mean over all recommended items i of -log2(events with i / all events of the training), as in Zhou et al.,
Solving the apparent diversity-accuracy dilemma of recommender systems (PNAS 2010). An item that every second event
is about has 1 bit, one of a thousand has 10. It says nothing about whether a list is good: beside NDCG it tells a
model that found something people did not know from one that repeats the charts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.reports import rounded


def novelty(ranked: NDArray[np.int64], counts: NDArray[np.int64]) -> float:
    """Bits, of answers `(users, 25)` item codes, -1 after the last, where the training had `counts` (items,) events with each item.

    An item without events counts as if it had one. 0 if nothing was recommended.
    """
    recommended = ranked[ranked >= 0]
    if not len(recommended):
        return 0.0
    shares = np.maximum(counts, 1) / max(int(counts.sum()), 1)
    return rounded(-np.log2(shares)[recommended].mean())
