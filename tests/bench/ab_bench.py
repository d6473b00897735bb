"""How often intervals of A/B experiments cover what is known: `python -m tests.bench.ab_bench`.

1,000 simulated experiments a row. Users are dealt by the hash that deals them in the runtime; how many events a user makes is
negative binomial, so that some make many. Bounds: intervals of shares cover the truth in 93.6 to 98 of 100, two standard
deviations of 1,000 runs below 95, and of rare things they err on the safe side; intervals of means in 92 to 98, where both
arms have 20 users who did it. With fewer `openpersonalize ab` shows none.
"""

from __future__ import annotations

import sys

import numpy as np
from rich.console import Console
from rich.table import Table

from pipelines.evaluation.arms import Sample, means, shares
from pipelines.platform.ab_views import FEWEST_FOR_MEANS
from pipelines.serving.arms import CHALLENGER, arm_of

RUNS = 1000
WORLDS = (
    # users, per cent in B, events a user in A and in B
    (500, 50, 0.10, 0.10),
    (1000, 20, 0.10, 0.16),
    (4000, 10, 0.05, 0.08),
    (2000, 50, 0.60, 0.50),
    (10_000, 5, 0.005, 0.010),
)
CLUMPED = 1.0
"""Shape of the gamma distribution of users' rates: 1 is an exponential."""


def coverage(users: int, share: int, rates: tuple[float, float], random: np.random.Generator) -> np.ndarray:
    """(4,) of RUNS: difference and ratio of shares, difference and ratio of means."""
    doing = [1 - (1 + rate / CLUMPED) ** -CLUMPED for rate in rates]
    truths = (doing[1] - doing[0], doing[1] / doing[0], rates[1] - rates[0], rates[1] / rates[0])
    covered = np.zeros(4)
    for _ in range(RUNS):
        id = random.bytes(8).hex()
        in_b = np.array([arm_of(id, str(user), share).name == CHALLENGER for user in range(users)])
        done = random.poisson(np.where(in_b, rates[1], rates[0]) * random.gamma(CLUMPED, 1 / CLUMPED, users))
        arms = [done[~in_b].astype(float), done[in_b].astype(float)]
        did = shares(*((len(arm), int((arm > 0).sum())) for arm in arms))
        mean = means(*(Sample(len(arm), float(arm.sum()), float((arm**2).sum())) for arm in arms))
        found = (did.difference, did.ratio, mean.difference, mean.ratio)
        # Where an arm has nothing no ratio is said, which is not wrong.
        covered += [one is None or one.low <= truth <= one.high for one, truth in zip(found, truths, strict=True)]
    return covered / RUNS


def main() -> int:
    console, random = Console(), np.random.default_rng(0)
    table = Table("users", "in B", "events a user", "share: B - A", "B / A", "mean: B - A", "B / A", title="covered")
    missed = 0
    for users, share, *rates in WORLDS:
        found = coverage(users, share, (rates[0], rates[1]), random)
        fewest = min(users * (100 - share) * rates[0], users * share * rates[1]) / 100
        least = [0.936, 0.936, *[0.92 if fewest >= FEWEST_FOR_MEANS else 0] * 2]
        missed += sum(not low <= one <= 0.98 for low, one in zip(least, found, strict=True) if low)
        shown = [f"{one:.1%}" if low else "-" for low, one in zip(least, found, strict=True)]
        table.add_row(f"{users:,}", f"{share} %", f"{rates[0]:g}, {rates[1]:g}", *shown)
    console.print(table)
    return missed


if __name__ == "__main__":
    sys.exit(main())
