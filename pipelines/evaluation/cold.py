"""Whom and what a training knows little of, measured apart: a mean over everybody hides them.

Cold users: test users who are asked with no event or with fewer than FEW. Cold items: items of the catalogue without
an event in the training; only what is known of them otherwise can tell one from another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.metrics import LIST_LENGTH, hit_matrix, ndcg
from pipelines.evaluation.reports import Report, not_measurable, rounded

FEW = 3


def cold_users(
    ranked: Mapping[str, NDArray[np.int64]], relevant: Sequence[NDArray[np.integer]], events: NDArray[np.integer]
) -> Report:
    """NDCG@25 of each model's answers `ranked` by how many `events` (users,) the users were asked with.

    `no_events`, `few_events` and, to compare, `more_events`: users, and a number a model.
    """
    counts = np.array([len(items) for items in relevant], np.int64)
    gains = {name: ndcg(hit_matrix(answers, relevant), counts, LIST_LENGTH) for name, answers in ranked.items()}
    groups = {
        "no_events": (events == 0, "every test user has events"),
        "few_events": ((events > 0) & (events < FEW), f"no test user has fewer than {FEW} events"),
        "more_events": (events >= FEW, f"no test user has {FEW} events"),
    }
    return {
        name: {
            "users": int(chosen.sum()),
            "ndcg_at_25": {model: rounded(gained[chosen].mean()) for model, gained in gains.items()},
        }
        if chosen.any()
        else not_measurable(otherwise)
        for name, (chosen, otherwise) in groups.items()
    }


class ColdItems:
    """Takes the answers one after the other. `counts`: (items,) events with each item in the training."""

    def __init__(self, counts: NDArray[np.int64]) -> None:
        self._is_cold = counts == 0
        self._codes = np.flatnonzero(self._is_cold)
        self._shares: list[float] = []
        self._found: list[float] = []
        self._aucs: list[float] = []

    def add(self, logits: NDArray[np.float32], best: NDArray[np.int64], relevant: NDArray[np.integer]) -> None:
        """One answer: the logits of all items, the codes of those that were recommended and of those taken."""
        self._shares.append(float(self._is_cold[best].sum() / max(len(best), 1)))
        taken = relevant[self._is_cold[relevant]]
        if not len(taken):
            return
        self._found.append(float(np.isin(taken, best).mean()))
        if len(taken) < len(self._codes):
            self._aucs.append(auc(logits[self._codes], np.isin(self._codes, taken)))

    def report(self) -> Report:
        """items: how many are cold; share_of_top_25: how much of the lists they are.

        queries: users who took a cold item; found: mean share of those items that were in the user's list; auc: of
        their order among the cold items alone (see `auc`), absent if it has none to compare with.
        """
        if not len(self._codes):
            return not_measurable("every item has events in the training part")
        if not self._shares:
            return not_measurable("there are no test users")
        report = {
            "items": len(self._codes),
            "share_of_top_25": _mean(self._shares),
            "queries": len(self._found),
        }
        if self._found:
            report["found"] = _mean(self._found)
        if self._aucs:
            report["auc"] = _mean(self._aucs)
        return report


def auc(logits: NDArray[np.float32], taken: NDArray[np.bool_]) -> float:
    """How likely a taken item has a higher logit than one that was not, equal logits counting half; 0.5 is chance.

    The area under the ROC curve. Unlike a list's NDCG it gives a model that cannot tell the items apart exactly 0.5.
    """
    others = np.sort(logits[~taken])
    below, up_to = (np.searchsorted(others, logits[taken], side) for side in ("left", "right"))
    return float((below + up_to).mean() / 2 / len(others))


def _mean(values: Sequence[float]) -> float:
    return rounded(sum(values) / len(values))
