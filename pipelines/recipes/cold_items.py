"""How likely an item is that has few events or none (numpy only).

A rate of events an item is taken to have is drawn from a gamma distribution and its events from a Poisson one, so
that after n events of its own within E events of everybody since it came to be, its expected share is
(n + SHAPE) / (E + SHAPE x items). An item that was created this moment has the mean share, 1 / items; one that has
been there all the time and was never taken next to nothing. Where nobody said when an item was created (no
CREATION_TIMESTAMP), it counts as there all the time: its first event would be no more than a guess.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.recipes.contract import CannotTrain
from pipelines.recipes.training_data import TrainingData, first_seen

SHAPE = 0.5
"""Of the gamma distribution: item popularities of MovieLens-100K have 0.55 (squared mean / excess variance)."""
FEWEST, MOST = 100, 80_000
"""Cold items that aws-hrnn-coldstart trains with (spec/recipes.md section 9)."""
DAY = 86400


def log_rates(
    data: TrainingData, weights: NDArray[np.float32], cold: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """(items,) log of how much more often than an average item each is taken; `weights`: of each event.

    Items of the mask `cold` count as created this moment, whatever is known of them: 0.
    """
    times, prior = data.sequences.times, SHAPE * data.items
    order = np.argsort(times, kind="stable")
    until = np.concatenate([[0.0], np.cumsum(weights[order], dtype=np.float64)])
    exposure = np.full(data.items, until[-1])
    if len(data.dated):
        since = until[-1] - until[np.searchsorted(times[order], data.created)]
        exposure = np.where(data.dated, since, exposure)
    counts = np.bincount(data.sequences.items, weights, minlength=data.items)
    rates = np.log((counts + SHAPE) / (exposure + prior) * data.items)
    return np.asarray(rates if cold is None else np.where(cold, 0.0, rates), np.float32)


def log_shares(rates: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits whose softmax is each item's expected share of the next events, and whose exponentials sum to 1."""
    exact = rates.astype(np.float64)
    return np.asarray(exact - np.log(np.exp(exact).sum()), np.float32)


@dataclass(frozen=True)
class ColdStart:
    """aws-hrnn-coldstart: which items are cold (spec/recipes.md section 9).

    An item is cold if it has fewer than `max_interactions` interactions and came to be less than `max_days` days
    before the reference: `latestItem` the moment the youngest item came to be, `currentTime` the newest interaction's
    time (training reads no clock, so that the same data gives the same model). An item comes to be with its first
    interaction; without one when it was created.

    What was left open, and what it is here: a cold item is answered for as one that appeared this moment. The few
    events that it has teach what its metadata is worth, and never an embedding or bias of its own. Its bias is that
    of an average item plus its metadata's, which lifts it above most of the catalogue, so that new items do appear
    where their metadata fits.
    """

    max_interactions: int
    max_days: float
    relative_from: str

    def cold(self, data: TrainingData) -> NDArray[np.bool_]:
        """(items,) which are cold."""
        counts = np.bincount(data.sequences.items, minlength=data.items)
        came = np.where(counts > 0, first_seen(data.sequences, data.items), data.created)
        reference = came.max(initial=0) if self.relative_from == "latestItem" else data.newest
        return np.asarray((counts < self.max_interactions) & (reference - came < self.max_days * DAY))

    def check(self, cold: NDArray[np.bool_]) -> None:
        """Raise CannotTrain if the cold items are too few or too many."""
        found = int(cold.sum())
        if FEWEST <= found <= MOST:
            return
        few = (
            "Raise cold_start_max_interactions or cold_start_max_duration, or add new items to the Items dataset and "
            "their interactions."
        )
        many = "Lower cold_start_max_interactions or cold_start_max_duration."
        raise CannotTrain(
            f"Create failed. The dataset has {found} cold start items, but between {FEWEST} and {MOST} are needed: items "
            f"with fewer than {self.max_interactions} interactions whose first one is less than {self.max_days:g} days "
            f"older than the {_REFERENCES[self.relative_from]}. {few if found < FEWEST else many}"
        )


_REFERENCES = {"latestItem": "newest item", "currentTime": "newest interaction"}
