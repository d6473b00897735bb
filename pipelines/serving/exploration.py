"""New items get a chance: what campaignConfig.itemExplorationConfig does to a list (spec/training.md section 8).

    explored logit = logit + lift,   lift = unit(user, boldness) x uncertainty(item) x (1 + small noise)

of the eligible items only; all others keep their logit, and with weight 0 all do, to the bit. Scores are the softmax of the
explored logits, so order and score agree.

Eligible: little known, and created no longer than the cut-off ago, counted from the newest interaction of the training, or
from `now` if that is earlier. The sources name both (the cheat sheet the current time, the guide the latest interaction).
With live data they are the same but for the time since the version was made; with a recorded data set only the latest
interaction leaves anything to explore.

Uncertainty, in (0, 1]: 1 / sqrt(1 + interactions + impressions / 25), as the standard error of a rate falls with what was seen
of it. A list of 25 of which one item is taken is one interaction and 24 impressions: either side counts the same.

Unit: a logit means something else in every catalogue and for every user, so nothing is added in logits. The unit is what is
missing of the way into the user's own best 25 for as many of the user's best eligible items as the boldness is of the
list: at 0.3 it carries 7.5 items that nobody has seen yet (by interpolation) up to the 25th place, at 1 all 25; an item
that is better known counts, and gains, by its uncertainty. With fewer new items than places it is that share of them. The
alternatives were worse: a bonus of fixed size floods one catalogue and does nothing in another; one in the spread of
the logits does nothing for items whose logits all lie low because training never saw them, which is what new items' logits
do; giving away places instead of logits would break the agreement of order and score. No lift carries an item above the
user's best, but for its noise.

Boldness: the campaign's explorationWeight in nine lists of ten, in the tenth another of LEVELS (fewer below a weight of
0.1). So every campaign tries all weights a little with known probability, and what another weight would bring can be
estimated from what was served, without assumptions about how noise spreads (pipelines/evaluation/propensities.py). Also
recorded is at which of the levels each item of the list would have been in it.

Chance comes from the recommendationId alone: the same id, version and time give the same list.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from pipelines.serving.artefact import Artefact
from pipelines.serving.ordering import top

# Unlike AWS, serving: one list in ten of an exploring campaign tries another explorationWeight. So `openpersonalize
# explore-report` can say what other weights would bring; weight 0 tries none.
LEVELS = (0.0, 0.1, 0.3, 0.5, 1.0)
"""The weights that every exploring campaign tries now and then."""
TRIED = 0.1
"""Of the lists of a campaign, how many try another weight than its own; less if its weight is less."""
SLOTS = 25
"""The places that exploration is about: the length of a list unless a caller says otherwise, and of AWS's metrics."""
# Unlike AWS, serving: by how much exploration lifts a new item is a rule of our own. AWS does not publish its rule; 0 is
# pure relevance in both, and 1 the most exploration.
NOISE = 0.25
"""A lift is up to this part of it larger or smaller."""
KNOWN = 0.1
"""An item whose uncertainty is less, after a hundred interactions or 2,500 impressions, is not explored any more."""
MOST = 1000
"""So many of the eligible items, the user's most relevant ones, are looked at: a catalogue may be all new."""
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Exploration:
    """A campaign's explorationWeight and explorationItemAgeCutOff; the defaults are AWS's."""

    weight: float = 0.3
    age_cut_off_days: float = 30.0

    @classmethod
    def from_config(cls, config: Mapping[str, str]) -> Exploration:
        """From campaignConfig.itemExplorationConfig, whose values are strings that the control plane has checked."""
        members = {"weight": "explorationWeight", "age_cut_off_days": "explorationItemAgeCutOff"}
        return cls(**{name: float(config[member]) for name, member in members.items() if member in config})


@dataclass(frozen=True, slots=True)
class Explored:
    """A list, and what would have been in it at other weights."""

    logits: NDArray[np.float32]
    """(items,) explored."""
    best: NDArray[np.int64]
    """(count,) item codes, best first."""
    shown_at: list[int] | None
    """(count,) of each item of `best` the levels at which the list would have it: bit k for `levels(weight)[k]`.
    None: every item is in it at every level."""


def explore(
    logits: NDArray[np.float32], artefact: Artefact, exploration: Exploration | None, seed: str, now: float, count: int
) -> Explored:
    """The `count` best items of the explored logits, less those of -inf; `exploration` None: of the logits.

    `seed` is the recommendationId, `now` epoch seconds. `logits` are not changed. With 2,000 items of which 200 are new it
    takes 0.18 ms of CPU, of which the list alone takes 0.02.
    """
    pure = top(logits, max(count, SLOTS))
    pure = pure[logits[pure] > -np.inf]
    if exploration is None or exploration.weight == 0 or len(pure) < SLOTS:
        return Explored(logits, pure[:count], None)
    codes = eligible(artefact, exploration, now)
    codes = codes[logits[codes] > -np.inf]
    if len(codes) > MOST:
        codes = np.sort(codes[top(logits[codes], MOST)])
    if not len(codes):
        return Explored(logits, pure[:count], None)
    tried = levels(exploration.weight)
    chance = uniform(seed, codes)
    drawn = bisect.bisect(_bounds(exploration.weight), chance[0])
    lifting = _Lifting.of(logits, artefact, codes, pure, chance[1:])
    units = lifting.units(tried)
    explored = logits.copy()
    explored[codes] += lifting.lifts(units[drawn : drawn + 1])[:, 0]
    # Nothing sinks: in some list is only what is in it without exploration, or comes into it at the boldest level.
    coming = logits[codes] + lifting.lifts(units[-1:])[:, 0] >= logits[pure[:count][-1]]
    candidates = np.unique(np.concatenate((pure[:count], codes[coming])))
    values = np.repeat(logits[candidates][:, None], len(tried), axis=1)
    values[np.searchsorted(candidates, codes[coming])] += lifting.at(coming).lifts(units)
    return Explored(explored, *_list(candidates, values, drawn, count))


@lru_cache(64)
def levels(weight: float) -> tuple[float, ...]:
    """The boldnesses that lists of a campaign with this weight may have, rising."""
    return tuple(sorted({*LEVELS, weight}))


def probability(weight: float, boldness: float) -> float:
    """How likely a list of a campaign of this weight has this boldness."""
    tried = min(TRIED, weight)
    if boldness == weight:
        return 1.0 - tried
    return tried / len([level for level in LEVELS if level != weight]) if boldness in LEVELS else 0.0


def propensity(shown_at: NDArray[np.int64], logged: float, weight: float) -> NDArray[np.float64]:
    """(items,) how likely exploration of `weight` shows each, of what a campaign of weight `logged` showed at `shown_at`."""
    tried = levels(logged)
    bits = shown_at[:, None] >> np.arange(len(tried)) & 1
    chances: NDArray[np.float64] = bits @ np.array([probability(weight, level) for level in tried])
    return chances


@lru_cache(64)
def _bounds(weight: float) -> list[float]:
    """Where in [0, 1) the next of `levels` begins."""
    return list(accumulate(probability(weight, level) for level in levels(weight)))[:-1]


def eligible(artefact: Artefact, exploration: Exploration, now: float) -> NDArray[np.int64]:
    """Codes of the items that are new enough, and little enough known, to be explored, rising."""
    oldest = min(now, artefact.newest) - exploration.age_cut_off_days * SECONDS_PER_DAY
    codes = np.flatnonzero(artefact.created >= oldest)
    return codes[uncertainty(artefact.interactions[codes], artefact.shown[codes]) >= KNOWN]


def uncertainty(interactions: NDArray[np.int64], shown: NDArray[np.int64]) -> NDArray[np.float64]:
    """(items,) in (0, 1]: how little is known of each."""
    known: NDArray[np.float64] = 1 / np.sqrt(1.0 + interactions + shown / SLOTS)
    return known


def uniform(seed: str, codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """(1 + codes,) in [0, 1): one for the list, one for each code, the same for the same seed everywhere.

    SplitMix64 (Steele, Lea and Flood 2014) in numpy: a generator of numpy's own takes 0.1 ms to set up.
    """
    start = int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=8).digest(), "little")
    state = np.append(-1, codes).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(start)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    numbers = ((state ^ (state >> np.uint64(31))) >> np.uint64(11)).astype(np.float64)
    numbers *= 2.0**-53
    return numbers


@dataclass(frozen=True, slots=True)
class _Lifting:
    """What decides how far each eligible item is lifted; the arrays are (eligible,) float64."""

    uncertainty: NDArray[np.float64]
    missing: NDArray[np.float64]
    """Of the way into the user's best 25; 0 for those that are there."""
    room: NDArray[np.float64]
    """Up to the user's best item."""
    factor: NDArray[np.float64]
    """The noise: around 1."""

    @classmethod
    def of(
        cls,
        logits: NDArray[np.float32],
        artefact: Artefact,
        codes: NDArray[np.int64],
        pure: NDArray[np.int64],
        chance: NDArray[np.float64],
    ) -> _Lifting:
        relevance: NDArray[np.float64] = logits[codes].astype(np.float64)
        return cls(
            uncertainty(artefact.interactions[codes], artefact.shown[codes]),
            np.maximum(logits[pure[SLOTS - 1]] - relevance, 0.0),
            logits[pure[0]] - relevance,
            1.0 + NOISE * (2.0 * chance - 1.0),
        )

    def units(self, tried: tuple[float, ...]) -> NDArray[np.float64]:
        """(levels,) what an item of which nothing is known is lifted by, before noise; rising."""
        order = np.argsort(self.missing, kind="stable")
        filled = np.cumsum(self.uncertainty[order])
        places = np.array(tried) * min(float(SLOTS), float(filled[-1]))
        units: NDArray[np.float64] = np.interp(places, np.append(0.0, filled), np.append(0.0, self.missing[order]))
        return units

    def at(self, chosen: NDArray[np.bool_]) -> _Lifting:
        """Of some of the items."""
        return _Lifting(*(values[chosen] for values in (self.uncertainty, self.missing, self.room, self.factor)))

    def lifts(self, units: NDArray[np.float64]) -> NDArray[np.float32]:
        """(eligible, units) what each item's logit gains."""
        lifts = np.minimum(self.uncertainty[:, None] * units, self.room[:, None]) * self.factor[:, None]
        return lifts.astype(np.float32)


def _list(
    candidates: NDArray[np.int64], values: NDArray[np.float32], drawn: int, count: int
) -> tuple[NDArray[np.int64], list[int] | None]:
    """The list at level `drawn`, and at which levels each of its items is in the list; `values` (candidates, levels)."""
    # As `top`: candidates are in the order of the catalogue, so a stable sort leaves equal ones in it.
    lists = np.argsort(-values, axis=0, kind="stable")[:count]
    shown_at = np.zeros(len(candidates), np.int64)
    for level in range(values.shape[1]):
        shown_at[lists[:, level]] |= 1 << level
    chosen = lists[:, drawn]
    of_list: list[int] = shown_at[chosen].tolist()
    everywhere = (1 << values.shape[1]) - 1
    return candidates[chosen], None if set(of_list) == {everywhere} else of_list
