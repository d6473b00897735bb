"""What the events of two arms allow to say: differences and ratios with intervals of 95 per cent.

Users are dealt, so users are what is counted: each gives one number, whether he did a thing or how often. Clicks or answers
of one user depend on each other, and an interval that took them for independent would be too narrow.

shares   difference: Newcombe's hybrid of Wilson's intervals (Statistics in Medicine 17, 1998, method 10), which holds
         what it promises for rare things and few users as well. Ratio: Katz's, on logarithms.
means    difference: Welch's t. Ratio: the delta method on logarithms.

An interval says what it says when it is looked at once. Who looks every day and stops when it leaves out 0 is wrong far more
often than one time in twenty.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, sqrt

CONFIDENCE = 0.95
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
    from scipy.stats import binomtest
    from scipy.stats.contingency import relative_risk

    (users_a, did_a), (users_b, did_b) = a, b
    share_a, share_b = did_a / users_a, did_b / users_b
    around_a, around_b = (binomtest(did, users).proportion_ci(CONFIDENCE, "wilson") for users, did in (a, b))
    below = sqrt((share_b - around_b.low) ** 2 + (around_a.high - share_a) ** 2)
    above = sqrt((around_b.high - share_b) ** 2 + (share_a - around_a.low) ** 2)
    difference = Interval(share_b - share_a, share_b - share_a - below, share_b - share_a + above)
    ratio = None
    if did_a and did_b:
        risk = relative_risk(did_b, users_b, did_a, users_a)
        ratio = Interval(float(risk.relative_risk), *map(float, risk.confidence_interval(CONFIDENCE)))
    return Comparison(share_a, share_b, difference, ratio)


def means(a: Sample, b: Sample) -> Comparison:
    """Of numbers by user, at least one user in each arm."""
    from scipy.stats import norm, t

    between, squared = b.mean - a.mean, a.error + b.error
    if squared == inf or squared == 0:
        return Comparison(a.mean, b.mean, Interval(between, *((-inf, inf) if squared else (between, between))), None)
    freedom = squared**2 / (a.error**2 / (a.users - 1) + b.error**2 / (b.users - 1))
    reach = float(t.ppf((1 + CONFIDENCE) / 2, freedom)) * sqrt(squared)
    ratio = None
    if a.mean > 0 and b.mean > 0:
        factor = exp(float(norm.ppf((1 + CONFIDENCE) / 2)) * sqrt(a.error / a.mean**2 + b.error / b.mean**2))
        ratio = Interval(b.mean / a.mean, b.mean / a.mean / factor, b.mean / a.mean * factor)
    return Comparison(a.mean, b.mean, Interval(between, between - reach, between + reach), ratio)


def mismatch(users_a: int, users_b: int, share: int) -> float:
    """How likely arms are dealt so unevenly or more, when B is to have `share` per cent: p of a chi-square test."""
    from scipy.stats import chisquare

    users = users_a + users_b
    return float(chisquare([users_a, users_b], [users * (100 - share) / 100, users * share / 100]).pvalue)


def users_needed(a: float, b: float, share: int) -> int | None:
    """Users in both arms together of whom POWER of all experiments show that these shares differ; None: they do not."""
    from scipy.stats import norm

    if a == b:
        return None
    reach = float(norm.ppf((1 + CONFIDENCE) / 2) + norm.ppf(POWER))
    spread = a * (1 - a) / (1 - share / 100) + b * (1 - b) / (share / 100)
    return round((reach / (b - a)) ** 2 * spread)
