"""From a request to a list: what GetRecommendations and GetPersonalizedRanking answer (spec/recipes.md 2).

Three kinds of answers. By an encoder: the user's vector is made from their history, and gains what is known of them and
of the situation; an item's logit is its inner product with the item's vector. By neighbours: the items that go with an
item, then what is popular. And what is popular, the same for everybody.

A score is a probability: softmax over the whole catalogue, or over the known items of the caller's list. Logits are
float32, as the model was trained; the normaliser is float64, so that the sum over all items is 1 to the last of the
7 decimals that are published.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.serving.artefact import Artefact, LoadedEncoding
from pipelines.serving.asked import Asked, Streamed
from pipelines.serving.exploration import explore
from pipelines.serving.ordering import only, softmax
from pipelines.serving.parts import Neighbours
from pipelines.serving.promoting import promote

DECIMALS = 7
ALWAYS = (1 << 8) - 1
"""`shown_at` of an item that is in the list at every weight: more bits than there are levels."""
# Unlike AWS, serving: `reason` is answered by every recipe that promotes, explores or fills up with popular items. AWS
# answers it with user-personalization-v2 only; its literals but `Exploration` are not published.
PROMOTED, EXPLORED, POPULAR = "PromotedItem", "Exploration", "PopularItem"
_NO_CODES, _NO_WEIGHTS = np.zeros(0, np.int64), np.zeros(0, np.float32)


class Scored(NamedTuple):
    """One item of an answer; `score` is None for an item that the model does not know, and of a model without scores."""

    item_id: str
    score: float | None
    shown_at: int | None = None
    """At which weights of exploration it would be in the list (exploration.py); None: at all of them."""
    promotion: str | None = None
    """The promotion that put it into the list."""
    is_popular: bool = False
    """Whether it stands there because it is popular, for want of anything that the model knows of who asks."""

    @property
    def reason(self) -> str | None:
        """Why it is in the list if not for the model's own judgement."""
        if self.promotion is not None:
            return PROMOTED
        if self.shown_at is not None and not self.shown_at & 1:
            return EXPLORED  # the lowest level is weight 0
        return POPULAR if self.is_popular else None


class History(NamedTuple):
    """A user's newest events, oldest first."""

    codes: NDArray[np.int64]
    """Items'."""
    times: NDArray[np.float64]
    """Epoch seconds."""


class SideValues(NamedTuple):
    """What is known of a user and of the situation."""

    codes: NDArray[np.int64]
    """Rows of `Side.matrix`."""
    weights: NDArray[np.float32]


class Recommender:
    """Answers for one solution version; holds nothing that changes, so threads may share it."""

    def __init__(self, artefact: Artefact) -> None:
        self.artefact = artefact

    def recommend(self, asked: Asked, num_results: int) -> list[Scored]:
        """The `num_results` best items of the whole catalogue, best first.

        What the model does not know of events, context, user or item is skipped; if that leaves nothing, the answer is
        what is popular. A filter takes items out before the best are picked, so that the list is full as long as there
        are enough; scores stay probabilities over the whole catalogue.
        """
        logits = self.logits(asked)
        allowed = None if asked.filtered is None else asked.filtered.allowed()
        left = logits if allowed is None else only(allowed, logits)
        found = explore(left, self.artefact, asked.exploration, asked.seed, asked.now, num_results)
        # What is not explored is as it was, what is filtered too: a score is a share of the whole catalogue.
        explored = logits if found.logits is left else found.logits
        if allowed is not None and explored is not logits:
            explored = np.maximum(only(allowed, explored), only(~allowed, logits))
        kept = _above(asked.min_score_ratio, explored, found.best)
        if asked.promotion is None:
            return self._with_popular(asked, logits, self._listed(explored, kept, found.best, found.shown_at))
        best, promoted = promote(asked.promotion, explored, kept, num_results, asked.seed)
        listed = self._listed(explored, best, found.best, found.shown_at)
        name = asked.promotion.name
        listed = [one._replace(promotion=name) if is_one else one for one, is_one in zip(listed, promoted, strict=True)]
        return self._with_popular(asked, logits, listed)

    def _with_popular(self, asked: Asked, logits: NDArray[np.float32], listed: list[Scored]) -> list[Scored]:
        """The list, in which it says of which items that they are there for being popular.

        Where popularity is all that the recipe knows, no item is said to be there for want of something else.
        """
        match self.artefact.answers:
            case None:
                return listed
            case Neighbours() as neighbours:
                item = None if asked.item_id is None else self.artefact.items.code(asked.item_id)
                around = set() if item is None else {*self.artefact.items.ids(neighbours.of(item).tolist())}
                return [one if one.item_id in around else one._replace(is_popular=True) for one in listed]
            case _:
                is_known = logits is not self.artefact.popularity
                return listed if is_known else [one._replace(is_popular=True) for one in listed]

    def _listed(
        self,
        logits: NDArray[np.float32],
        best: NDArray[np.int64],
        explored: NDArray[np.int64],
        shown_at: list[int] | None,
    ) -> list[Scored]:
        """The list `best`; of what is not in `explored`, whose `shown_at` is known, exploration decided nothing."""
        scored = self._scored(self.artefact.items.ids(best.tolist()), logits, best)
        if shown_at is None:
            return scored
        levels = dict(zip(explored.tolist(), shown_at, strict=True))
        return [
            one._replace(shown_at=levels.get(code, ALWAYS)) for one, code in zip(scored, best.tolist(), strict=True)
        ]

    def rank(self, asked: Asked, input_list: Sequence[str]) -> list[Scored]:
        """`input_list` by falling score, the scores summing to 1; unknown items follow in their order, without score.

        An item that is given twice is answered once, and one that a filter takes out not at all. With a
        `min_score_ratio` an item without a score is not above it.
        """
        wanted = self._allowed(asked, dict(zip(input_list, self.artefact.items.codes(input_list), strict=True)))
        known = [identifier for identifier, code in wanted.items() if code is not None]
        codes = np.array([code for code in wanted.values() if code is not None], np.int64)
        logits = self.logits(asked)[codes]
        order = _above(asked.min_score_ratio, logits, np.argsort(-logits, kind="stable"))
        ranked = self._scored([known[at] for at in order.tolist()], logits, order)
        if asked.min_score_ratio:
            return ranked
        return ranked + [Scored(identifier, None) for identifier, code in wanted.items() if code is None]

    # Unlike AWS, serving: scores of a filtered ranking sum to 1 over the items that are left. AWS does not say what they
    # sum to; a list that is shorter by a filter is answered as if it had been given so.
    def _allowed(self, asked: Asked, wanted: dict[str, int | None]) -> dict[str, int | None]:
        if asked.filtered is None:
            return wanted
        allowed, unknown = asked.filtered.allowed(), asked.filtered.allows_unknown
        return {item: code for item, code in wanted.items() if (unknown(item) if code is None else allowed[code])}

    def logits(self, asked: Asked) -> NDArray[np.float32]:
        """(items,) float32, not to be written to; -inf of an item that is not to be answered."""
        match self.artefact.answers:
            case None:
                return self.artefact.popularity
            case Neighbours() as neighbours:
                return self._around(neighbours, asked.item_id)
            case encoding:
                return self._personal(encoding, asked)

    def _personal(self, encoding: LoadedEncoding, asked: Asked) -> NDArray[np.float32]:
        return self.personal(encoding, self.history(asked.user_key, asked.streamed), self.side_values(asked))

    def personal(self, encoding: LoadedEncoding, history: History, side_values: SideValues) -> NDArray[np.float32]:
        """w_u . w_i of every item; popularity and the side without events."""
        vector = self.user_vector(encoding, history, side_values)
        if vector is None:
            return self.artefact.popularity
        logits: NDArray[np.float32] = encoding.item_matrix @ vector
        codes = history.codes
        if not len(codes):
            return self.artefact.popularity + logits
        # Oldest first, and of repeated indices the last assignment stays: an item's newest event counts.
        logits[codes] = logits[codes] + encoding.repeat[len(codes) - 1 :: -1]
        return logits

    def user_vector(
        self, encoding: LoadedEncoding, history: History, side_values: SideValues
    ) -> NDArray[np.float32] | None:
        """w_u, (dimension,): what the encoder makes of the history, and the side; None of whom nothing is known."""
        side: NDArray[np.float32] | None = None
        if encoding.side is not None and len(side_values.codes):
            side = side_values.weights @ encoding.side.matrix[side_values.codes]
        if not len(history.codes):
            return side
        read = slice(-encoding.encoder_length, None)
        vector = encoding.encoder(encoding.input_matrix[history.codes[read]], history.times[read])
        return vector if side is None else vector + side

    def _around(self, neighbours: Neighbours, item_id: str | None) -> NDArray[np.float32]:
        """The item's neighbours above all others, those by popularity; never the item itself."""
        item = None if item_id is None else self.artefact.items.code(item_id)
        if item is None:
            return self.artefact.popularity
        return neighbours.logits(item, self.artefact.popularity)

    def side_values(self, asked: Asked) -> SideValues:
        """What is known of who asks; a streamed record takes the place of what training knew of the user, as a whole."""
        side = self.artefact.side
        if side is None:
            return SideValues(_NO_CODES, _NO_WEIGHTS)
        codes, weights = _NO_CODES, _NO_WEIGHTS
        if asked.user_record is not None:
            codes, weights = side.users.encode(asked.user_record)
        elif (user := self.artefact.users.code(asked.user_key)) is not None:
            known, weights = side.user_bags.row(user)
            codes = known.astype(np.int64)
        if not asked.context:
            return SideValues(codes, weights)
        situation = side.context.situation(asked.context) + side.users.size
        certain = np.ones(len(situation), np.float32)
        return SideValues(np.concatenate((codes, situation)), np.concatenate((weights, certain)))

    def _scored(self, ids: Sequence[str], logits: NDArray[np.float32], at: NDArray[np.int64]) -> list[Scored]:
        """These items, which stand at `at` of all that share a probability of 1."""
        if not self.artefact.has_scores:
            return [Scored(identifier, None) for identifier in ids]
        return list(map(Scored, ids, published(softmax(logits, at))))

    def history(self, user_key: str, streamed: Streamed) -> History:
        """The newest `history_length` events, oldest first: imported, then streamed."""
        artefact = self.artefact
        user = artefact.users.code(user_key)
        imported, imported_at = (_NO_CODES, _NO_CODES) if user is None else artefact.history(user)
        codes = artefact.items.codes([item for item, _ in streamed])
        known = [(code, at) for code, (_, at) in zip(codes, streamed, strict=True) if code is not None][::-1]
        if not known:
            return History(imported.astype(np.int64), imported_at.astype(np.float64))
        newest = slice(-artefact.history_length, None)
        all_codes = np.concatenate((imported, [code for code, _ in known]), dtype=np.int64, casting="unsafe")
        all_times = np.concatenate((imported_at, [at for _, at in known]), dtype=np.float64)
        return History(all_codes[newest], all_times[newest])


def _above(ratio: float, logits: NDArray[np.float32], best: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of `best`, whose first has the largest logit, those with a score of at least this share of the first's.

    By logits, so that what 7 decimals round away counts; a score's share of another is e to the difference of logits.
    """
    if not ratio or not len(best):
        return best
    kept: NDArray[np.int64] = best[logits[best] - logits[best[0]] >= np.log(ratio)]
    return kept


def published(scores: NDArray[np.float64]) -> list[float]:
    """Scores as answered: 7 decimals. Each is off by at most 5e-8, so the sum of n of them by at most n x 5e-8."""
    rounded: list[float] = np.round(scores, DECIMALS).tolist()
    return rounded
