"""What another explorationWeight would have brought, from lists that were served: self-normalised inverse propensities.

Of each list is known which items it would have had at each of the weights that its campaign tries, and how likely it tries
them (pipelines/serving/exploration.py). So the probability of what was shown is known exactly, under the weight that
was logged and under any other, and each observation counts by their ratio:

    estimate = sum(ratio x reward) / sum(ratio)        (SNIPS: Swaminathan and Joachims 2015)

Dividing by the sum of the ratios rather than by the number of lists keeps the estimate between the smallest and the largest
reward, and costs a bias that falls with the number of lists. Two kinds of observations:

per list    the list as a set of items; its reward is how many of them were taken. Assumes nothing, but lists that the
            other weight would not have shown at all count for nothing.
per place   an item in a list; its reward is whether it was taken. Assumes that whether an item is taken does not depend
            on what else is in the list, and needs far fewer lists for it.

Intervals are of the bootstrap over lists, whose items are not independent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.serving.exploration import propensity

CONFIDENCE = 0.95
RESAMPLES = 400
BLOCKS = 1_000


@dataclass(frozen=True)
class Lists:
    """Lists that were served; places of list n are [offsets[n], offsets[n + 1]), none is empty."""

    offsets: NDArray[np.int64]
    weights: NDArray[np.float64]
    """(lists,) explorationWeight of the campaign when it served."""
    propensities: NDArray[np.float64]
    """(places,) how likely the list had the item."""
    shown_at: NDArray[np.int64]
    """(places,) bit k: at `levels(weight)[k]` the list would have the item."""
    taken: NDArray[np.bool_]
    """(places,) whether the item was taken."""


@dataclass(frozen=True)
class Estimate:
    """A mean reward under another weight."""

    value: float
    low: float
    high: float
    """Of the interval of 95 per cent."""
    lists: float
    """Effective sample size (Kish): so many lists of that weight itself would tell as much. 0: nothing is known."""


def per_list(lists: Lists, weight: float) -> Estimate:
    """How many items of a list would be taken."""
    starts = lists.offsets[:-1]
    # The levels at which the list has just these items: those that all of them share.
    same = np.bitwise_and.reduceat(lists.shown_at, starts)
    ratios = _chances(same, lists.weights, weight) / _chances(same, lists.weights, None)
    taken = np.add.reduceat(lists.taken.astype(np.float64), starts)
    return _estimate(ratios * taken, ratios)


def per_place(lists: Lists, weight: float) -> Estimate:
    """How likely the item in a place of a list would be taken."""
    sizes = np.diff(lists.offsets)
    ratios = _chances(lists.shown_at, np.repeat(lists.weights, sizes), weight) / lists.propensities
    starts = lists.offsets[:-1]
    return _estimate(np.add.reduceat(ratios * lists.taken, starts), np.add.reduceat(ratios, starts))


def _chances(shown_at: NDArray[np.int64], logged: NDArray[np.float64], weight: float | None) -> NDArray[np.float64]:
    """How likely exploration of `weight` shows each; None: of the weight that was logged."""
    chances = np.zeros(len(shown_at))
    for own in np.unique(logged).tolist():
        rows = logged == own
        chances[rows] = propensity(shown_at[rows], own, own if weight is None else weight)
    return chances


def _estimate(rewards: NDArray[np.float64], ratios: NDArray[np.float64]) -> Estimate:
    """From the ratio-weighted rewards and the ratios of each list."""
    total = ratios.sum()
    if not total:
        return Estimate(np.nan, np.nan, np.nan, 0.0)
    effective = total**2 / (ratios**2).sum()
    low, high = _interval(rewards, ratios)
    return Estimate(float(rewards.sum() / total), low, high, float(effective))


def _interval(rewards: NDArray[np.float64], ratios: NDArray[np.float64]) -> tuple[float, float]:
    """Percentiles of the bootstrap; the same for the same lists.

    Of many lists BLOCKS sums are drawn from rather than the lists, every BLOCKSth list in one: the same spread, in
    milliseconds for any number of them.
    """
    block = np.arange(len(ratios)) % BLOCKS
    sums = np.column_stack([np.bincount(block, values) for values in (rewards, ratios)])
    drawn = np.random.default_rng(0).poisson(1.0, (RESAMPLES, len(sums))) @ sums
    drawn = drawn[drawn[:, 1] > 0]
    tails = np.array([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], tails) if len(drawn) else (np.nan, np.nan)
    return float(low), float(high)
