"""From a user's history to scores: what GetRecommendations and GetPersonalizedRanking answer (spec/recipes.md 2).

A score is a probability: softmax over the whole catalogue, or over the known items of the caller's list. Logits are
float32, as the model was trained; the normaliser is float64, so that the sum over all items is 1 to the last of the
7 decimals that are published.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.serving.artefact import Artefact, LoadedEncoding
from pipelines.serving.asked import Asked, Streamed

DECIMALS = 7


class Scored(NamedTuple):
    """One item of an answer; `score` is None for an item that the model does not know."""

    item_id: str
    score: float | None


class Recommender:
    """Answers for one solution version; holds nothing that changes, so threads may share it."""

    def __init__(self, artefact: Artefact) -> None:
        self.artefact = artefact

    def recommend(self, asked: Asked, num_results: int) -> list[Scored]:
        """The `num_results` best items of the whole catalogue, best first.

        Streamed items that the model does not know are skipped; without any event the answer is what is popular.
        """
        logits = self.logits(asked)
        best = top(logits, num_results)
        return list(map(Scored, self.artefact.items.ids(best.tolist()), published(softmax(logits, best))))

    def rank(self, asked: Asked, input_list: Sequence[str]) -> list[Scored]:
        """`input_list` by falling score, the scores summing to 1; unknown items follow in their order, without score.

        An item that is given twice is answered once.
        """
        wanted = dict(zip(input_list, self.artefact.items.codes(input_list), strict=True))
        known = [identifier for identifier, code in wanted.items() if code is not None]
        codes = np.array([code for code in wanted.values() if code is not None], np.int64)
        logits = self.logits(asked)[codes]
        order = np.argsort(-logits, kind="stable")
        ranked = list(map(Scored, [known[at] for at in order.tolist()], published(softmax(logits, order))))
        return ranked + [Scored(identifier, None) for identifier, code in wanted.items() if code is None]

    def logits(self, asked: Asked) -> NDArray[np.float32]:
        """w_u . w_i of every item, (items,) float32."""
        encoding = self.artefact.answers
        codes, times = self.history(asked.user_key, asked.streamed)
        if not len(codes) or not isinstance(encoding, LoadedEncoding):
            return self.artefact.popularity
        read = slice(-encoding.encoder_length, None)
        logits: NDArray[np.float32] = encoding.item_matrix @ encoding.encoder(
            encoding.input_matrix[codes[read]], times[read]
        )
        # Oldest first, and of repeated indices the last assignment stays: an item's newest event counts.
        logits[codes] = logits[codes] + encoding.repeat[len(codes) - 1 :: -1]
        return logits

    def history(self, user_key: str, streamed: Streamed) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Item codes and times of the newest `history_length` events, oldest first: imported, then streamed."""
        artefact = self.artefact
        newest = slice(-artefact.history_length, None)
        user = artefact.users.code(user_key)
        imported, imported_at = ((), ()) if user is None else artefact.history(user)
        codes = artefact.items.codes([item for item, _ in streamed])
        known = [(code, at) for code, (_, at) in zip(codes, streamed, strict=True) if code is not None][::-1]
        all_codes = np.concatenate((imported, [code for code, _ in known]), dtype=np.int64, casting="unsafe")
        all_times = np.concatenate((imported_at, [at for _, at in known]), dtype=np.float64)
        return all_codes[newest], all_times[newest]


def softmax(logits: NDArray[np.float32], at: Any = slice(None)) -> NDArray[np.float64]:
    """Probabilities over `logits` in float64, of the positions `at`; empty for none."""
    if not len(logits):
        return np.zeros(0)
    exponentials = np.subtract(logits, logits.max(), dtype=np.float64)
    np.exp(exponentials, out=exponentials)
    probabilities: NDArray[np.float64] = exponentials[at] / exponentials.sum()
    return probabilities


def top(logits: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Positions of the `count` largest logits, best first; equal ones in the order of the catalogue."""
    count = min(count, len(logits))
    if count <= 0:
        return np.zeros(0, np.int64)
    threshold = np.partition(logits, len(logits) - count)[len(logits) - count]
    # All that reach the threshold, not argpartition's pick among equals, which depends on where they lie.
    candidates = np.flatnonzero(logits >= threshold)
    best: NDArray[np.int64] = candidates[np.argsort(-logits[candidates], kind="stable")[:count]]
    return best


def published(scores: NDArray[np.float64]) -> list[float]:
    """Scores as answered: 7 decimals. Each is off by at most 5e-8, so the sum of n of them by at most n x 5e-8."""
    rounded: list[float] = np.round(scores, DECIMALS).tolist()
    return rounded
