"""Why an item is recommended: of everything that made its score, how much the score owes to it.

What a thing is worth is found by taking it away, and only it: the item's score is computed once more without the thing,
and the difference of the two scores' logarithms is its gain. 0.69 (log 2) means that without it the score would be half,
-0.69 that it would be twice as high. The score is the softmax over the whole catalogue, so a thing that lifts all items
alike is worth nothing. Gains do not add up to the score: what two events say together is counted with each, or with
neither. What is taken away, by `Push.kind`:

event        all of the user's events with that item, wherever they are in the history; what they say through the encoder
             and, of the item itself, through the repeat term (having had it already)
user         one value of the user's record, as streamed or as training knew it
situation    one value of the request's context
item         one value of the item's own record, from this item only
popularity   this item's bias, in exchange for the catalogue's mean bias
exploration  what the campaign's exploration lifts this item by; everything else is judged by the list without exploration

What answers without a user's vector is told by what it counts instead: `similarity` of the two items (co-interactions,
as the recipe weighs them), and `interactions`, the events with the item that training saw.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.serving.artefact import LoadedEncoding
from pipelines.serving.asked import Asked
from pipelines.serving.exploration import explore
from pipelines.serving.ordering import softmax
from pipelines.serving.parts import Neighbours
from pipelines.serving.recommender import History, Recommender, SideValues, published
from pipelines.serving.vocabulary import Vocabulary

EVENTS = 50
"""So many of the user's newest events are looked at."""

Kind = Literal["event", "user", "situation", "item", "popularity", "exploration", "similarity", "interactions"]
How = Literal["personal", "explored", "similar", "popular"]


class UnknownItem(LookupError):
    """The version does not know the item: it was not there when it was trained."""


@dataclass(frozen=True, slots=True)
class Push:
    """One thing that moved an item."""

    kind: Kind
    name: str
    """The item of an event or of a similarity; `COLUMN = value` or `1 <= COLUMN < 2` of a value; of popularity and
    exploration what is known of the item."""
    value: float
    """Its gain; of a similarity the similarity, of interactions their number."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One item of the list."""

    rank: int
    """1 is the best."""
    item_id: str
    score: float | None
    """As the runtime answers it: the softmax over the whole catalogue; None of a recipe without scores."""
    how: How
    """personal: by what is known of the user or the situation; explored: that and a lift that it got as a new item;
    similar: it goes with the item asked about; popular: a fill, because nothing (more) was known."""
    pushes: tuple[Push, ...]
    """The largest first; of `personal` and `explored` by the absolute gain."""


def explain(recommender: Recommender, asked: Asked, count: int, item_id: str | None = None) -> list[Reason]:
    """Why the `count` best items are recommended to `asked`, or why `item_id` is where it is.

    Raises UnknownItem. With RELATED_ITEMS, `asked.item_id` is what the list goes with.
    """
    artefact = recommender.artefact
    logits = recommender.logits(asked)
    found = explore(logits, artefact, asked.exploration, asked.seed, asked.now, count)
    shown = found.logits
    if item_id is None:
        codes = found.best.tolist()
    else:
        code = artefact.items.code(item_id)
        if code is None:
            raise UnknownItem(f"the solution version does not know item {item_id!r}: it was trained without it")
        codes = [code]
    pushes = _pushes(recommender, asked, logits, codes)
    scores = published(softmax(shown, codes)) if artefact.has_scores else [None] * len(codes)
    reasons = []
    for code, score, (how, moved) in zip(codes, scores, pushes, strict=True):
        if shown[code] > logits[code]:
            how = "explored"
            known = f"{artefact.interactions[code]} interactions, shown {artefact.shown[code]} times"
            moved.append(Push("exploration", known, _gain(shown, code, float(shown[code] - logits[code]))))
        moved.sort(key=lambda push: -abs(push.value))
        reasons.append(Reason(_rank(shown, code), artefact.items.id(code), score, how, tuple(moved)))
    return reasons


def _pushes(
    recommender: Recommender, asked: Asked, logits: NDArray[np.float32], codes: list[int]
) -> list[tuple[How, list[Push]]]:
    """What moved each of `codes`."""
    answers = recommender.artefact.answers
    if isinstance(answers, LoadedEncoding):
        history, values = recommender.history(asked.user_key, asked.streamed), recommender.side_values(asked)
        return _Personal(recommender, answers, history, values, logits).pushes(codes)
    return [_counted(recommender, answers, asked.item_id, code) for code in codes]


def _counted(
    recommender: Recommender, neighbours: Neighbours | None, item_id: str | None, code: int
) -> tuple[How, list[Push]]:
    """Of an answer that is the same for everybody."""
    artefact = recommender.artefact
    popular = Push("interactions", "", float(artefact.interactions[code]))
    around = None if item_id is None or neighbours is None else artefact.items.code(item_id)
    if neighbours is None or around is None:
        return "popular", [popular]
    at = np.flatnonzero(neighbours.items[around] == code)
    if not len(at):
        return "popular", [popular]
    assert item_id is not None
    return "similar", [Push("similarity", item_id, float(neighbours.similarities[around][at[0]]))]


@dataclass(frozen=True)
class _Personal:
    """A user whose list an encoding made, and that list's logits."""

    recommender: Recommender
    encoding: LoadedEncoding
    history: History
    side_values: SideValues
    logits: NDArray[np.float32]

    def pushes(self, codes: list[int]) -> list[tuple[How, list[Push]]]:
        """Of each of `codes`."""
        artefact = self.recommender.artefact
        if not len(self.history.codes) and not len(self.side_values.codes):
            return [("popular", [Push("interactions", "", float(artefact.interactions[code]))]) for code in codes]
        found: list[list[Push]] = [[] for _ in codes]
        at, scores = np.array(codes, np.int64), _log(self.logits)
        for kind, name, without in self._without():
            for pushes, gain in zip(found, scores[at] - _log(without)[at], strict=True):
                pushes.append(Push(kind, name, float(gain)))
        for pushes, code in zip(found, codes, strict=True):
            pushes += self._of_item(code)
        return [("personal", pushes) for pushes in found]

    def _without(self) -> Iterator[tuple[Kind, str, NDArray[np.float32]]]:
        """All items' logits without one item's events, or without one value, at a time."""
        encoding, artefact = self.encoding, self.recommender.artefact
        codes, times = self.history
        for item in dict.fromkeys(codes[::-1][:EVENTS].tolist()):
            kept = History(codes[codes != item], times[codes != item])
            logits = self.recommender.personal(encoding, kept, self.side_values)
            yield "event", artefact.items.id(item), logits
        if encoding.side is None:
            return
        users = encoding.side.users
        values, weights = self.side_values
        for at, value in enumerate(values.tolist()):
            rest = SideValues(np.delete(values, at), np.delete(weights, at))
            logits = self.recommender.personal(encoding, self.history, rest)
            if value < users.size:
                yield "user", _value(users, value), logits
            else:
                yield "situation", _value(encoding.side.context, value - users.size), logits

    def _of_item(self, code: int) -> Iterator[Push]:
        """The values of the item's own record, and its bias."""
        encoding, side = self.encoding, self.encoding.side
        user = self.recommender.user_vector(encoding, self.history, self.side_values)
        assert user is not None  # something is known
        if side is not None:
            for value, weight in zip(*side.item_bags.row(code), strict=True):
                gain = _gain(self.logits, code, float(weight * (user @ side.item_matrix[value])))
                yield Push("item", _value(side.items, int(value)), gain)
        # A user's vector that ends with 1 meets the items' biases in their last column; without events there are none.
        artefact = self.recommender.artefact
        known = f"{artefact.interactions[code]} interactions"
        if not len(self.history.codes):
            popularity = artefact.popularity
            yield Push("popularity", known, _gain(self.logits, code, float(popularity[code] - popularity.mean())))
        elif user[-1] == 1:
            bias = encoding.item_matrix[:, -1]
            yield Push("popularity", known, _gain(self.logits, code, float(bias[code] - bias.mean())))


def _gain(logits: NDArray[np.float32], code: int, logit: float) -> float:
    """What `logit` of one item's logit is worth."""
    without = logits.copy()
    without[code] -= logit
    return float(_log(logits)[code] - _log(without)[code])


def _value(vocabulary: Vocabulary, code: int) -> str:
    """`GENDER = f`, or `25 <= AGE < 45`."""
    column, label = vocabulary.name(code)
    is_number = any(known.name == column and known.kind == "number" for known in vocabulary.columns)
    return label if is_number else f"{column} = {label}"


def _log(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Logarithms of the scores."""
    wide = logits.astype(np.float64)
    wide -= wide.max()
    found: NDArray[np.float64] = wide - np.log(np.exp(wide).sum())
    return found


def _rank(logits: NDArray[np.float32], code: int) -> int:
    """The place of an item, as `top` orders them."""
    better = np.count_nonzero(logits > logits[code])
    return 1 + int(better + np.count_nonzero(logits[:code] == logits[code]))
