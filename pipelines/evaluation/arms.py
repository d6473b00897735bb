"""What the events of two arms allow to say: differences and ratios with intervals of 95 per cent.

Users are dealt, so users are what is counted: each gives one number, whether he did a thing or how often. Clicks or answers
of one user depend on each other, and an interval that took them for independent would be too narrow.

shares   difference: Newcombe's hybrid of Wilson's intervals (Statistics in Medicine 17, 1998, method 10), which holds
         what it promises for rare things and few users as well. Ratio: Katz's, on logarithms.
means    difference: Welch's t. Ratio: the delta method on logarithms. Both want some 20 users in each arm who did it: of
         rarer things what is seen varies less than it should.

The formulas are short and stand here, because scipy.stats, which has most of them, takes a second and a half to load.

An interval says what it says when it is looked at once. Who looks every day and stops when it leaves out 0 is wrong far more
often than one time in twenty.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, exp, inf, sqrt
from statistics import NormalDist

CONFIDENCE = 0.95
_REACH = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
POWER = 0.8
MISMATCH = 0.001
"""Arms that are this unlikely by chance are not what was dealt. Rarer than for effects, as it is looked at often."""


@dataclass(frozen=True)
class Interval:
    """An estimate between its bounds."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """What A and B have, and how B differs; `ratio` is None where one of them has nothing."""

    a: float
    b: float
    difference: Interval
    ratio: Interval | None


@dataclass(frozen=True)
class Sample:
    """A number of each user of an arm."""

    users: int
    total: float
    squares: float
    """Sum of the numbers' squares."""

    @property
    def mean(self) -> float:
        return self.total / self.users

    @property
    def error(self) -> float:
        """Squared standard error of the mean; of a single user nothing is known."""
        if self.users < 2:
            return inf
        return max(self.squares - self.total**2 / self.users, 0.0) / (self.users - 1) / self.users


def shares(a: tuple[int, int], b: tuple[int, int]) -> Comparison:
    """Of (users, users who did it), at least one user in each arm."""
    (users_a, did_a), (users_b, did_b) = a, b
    share_a, share_b = did_a / users_a, did_b / users_b
    (low_a, high_a), (low_b, high_b) = _wilson(*a), _wilson(*b)
    below = sqrt((share_b - low_b) ** 2 + (high_a - share_a) ** 2)
    above = sqrt((high_b - share_b) ** 2 + (share_a - low_a) ** 2)
    difference = Interval(share_b - share_a, share_b - share_a - below, share_b - share_a + above)
    ratio = None
    if did_a and did_b:
        factor = exp(_REACH * sqrt(1 / did_a - 1 / users_a + 1 / did_b - 1 / users_b))
        ratio = Interval(share_b / share_a, share_b / share_a / factor, share_b / share_a * factor)
    return Comparison(share_a, share_b, difference, ratio)


def _wilson(users: int, did: int) -> tuple[float, float]:
    """The score interval of one share (Wilson 1927)."""
    share, squared = did / users, _REACH**2 / users
    centre = share + squared / 2
    reach = sqrt(share * (1 - share) * squared + squared**2 / 4)
    return (centre - reach) / (1 + squared), (centre + reach) / (1 + squared)


def means(a: Sample, b: Sample) -> Comparison:
    """Of numbers by user, at least one user in each arm."""
    from scipy.special import stdtrit

    between, squared = b.mean - a.mean, a.error + b.error
    if squared == inf or squared == 0:
        return Comparison(a.mean, b.mean, Interval(between, *((-inf, inf) if squared else (between, between))), None)
    freedom = squared**2 / (a.error**2 / (a.users - 1) + b.error**2 / (b.users - 1))
    reach = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * sqrt(squared)
    ratio = None
    if a.mean > 0 and b.mean > 0:
        factor = exp(_REACH * sqrt(a.error / a.mean**2 + b.error / b.mean**2))
        ratio = Interval(b.mean / a.mean, b.mean / a.mean / factor, b.mean / a.mean * factor)
    return Comparison(a.mean, b.mean, Interval(between, between - reach, between + reach), ratio)


def mismatch(users_a: int, users_b: int, share: int) -> float:
    """How likely arms are dealt so unevenly or more, when B is to have `share` per cent: p of a chi-square test."""
    users = users_a + users_b
    away = (users_b - users * share / 100) ** 2
    return erfc(sqrt(away / (users * share / 100 * (1 - share / 100)) / 2))


def users_needed(a: float, b: float, share: int) -> int | None:
    """Users in both arms together of whom POWER of all experiments show that these shares differ; None: they do not."""
    if a == b:
        return None
    spread = a * (1 - a) / (1 - share / 100) + b * (1 - b) / (share / 100)
    return round(((_REACH + NormalDist().inv_cdf(POWER)) / (b - a)) ** 2 * spread)
