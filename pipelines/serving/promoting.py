"""A promotion: a share of the list is for items of a filter of its own (spec/runtime.md section 2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.serving.exploration import uniform
from pipelines.serving.filtering import Filtered
from pipelines.serving.ordering import only, top


@dataclass(frozen=True, slots=True)
class Promotion:
    """What a request wants promoted."""

    name: str
    percent: int
    """Of the list, 1 to 100."""
    filtered: Filtered
    """Takes the place of the request's filter for promoted items."""

    def places(self, count: int) -> int:
        """How many items of a list of so many are promoted: rounded half up, at least one."""
        return min(max((self.percent * count + 50) // 100, 1), count)


def promote(
    promotion: Promotion, logits: NDArray[np.float32], best: NDArray[np.int64], count: int, seed: str
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The list with its promoted items, and which these are; `best` is the list without any, `logits` of all items.

    Promoted items and others keep their order among themselves; where the promoted ones stand is chance, the same for
    the same seed. An item stands there once: as a promoted one.
    """
    left = only(promotion.filtered.allowed(), logits)
    chosen = top(left, promotion.places(count))
    chosen = chosen[left[chosen] > -np.inf]
    others = best[~np.isin(best, chosen)][: count - len(chosen)]
    total = len(chosen) + len(others)
    places = np.argsort(uniform(f"{seed} promotion", np.arange(total))[1:], kind="stable")[: len(chosen)]
    is_promoted = np.zeros(total, np.bool_)
    is_promoted[places] = True
    mixed = np.empty(total, np.int64)
    mixed[is_promoted], mixed[~is_promoted] = chosen, others
    return mixed, is_promoted
