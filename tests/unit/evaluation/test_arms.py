"""Intervals of an experiment: against published numbers, against scipy's, and by how often they cover what is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipelines.evaluation.arms import Sample, means, mismatch, shares, users_needed


def sample(values: np.ndarray) -> Sample:
    return Sample(len(values), float(values.sum()), float((values**2).sum()))


@pytest.mark.parametrize(
    ("b", "a", "low", "high"),
    [
        # Newcombe 1998, table II, method 10.
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_differences_of_shares_are_newcombes(b: tuple[int, int], a: tuple[int, int], low: float, high: float) -> None:
    found = shares(a[::-1], b[::-1])
    assert found.difference.value == pytest.approx(b[0] / b[1] - a[0] / a[1])
    assert (round(found.difference.low, 4), round(found.difference.high, 4)) == (low, high)


def test_a_ratio_of_shares_is_katzs() -> None:
    found = shares((100, 20), (100, 30))
    assert found.ratio is not None
    spread = math.exp(1.959964 * math.sqrt(1 / 30 - 1 / 100 + 1 / 20 - 1 / 100))
    assert (found.ratio.value, found.ratio.low, found.ratio.high) == pytest.approx((1.5, 1.5 / spread, 1.5 * spread))
    assert shares((100, 0), (100, 30)).ratio is None


def test_differences_of_means_are_welchs() -> None:
    a, b = np.array([0, 1, 0, 2, 0, 0, 3, 1, 0, 0, 1, 0]), np.array([1, 0, 4, 2, 1, 0, 3])
    found = means(sample(a), sample(b))
    # scipy.stats.ttest_ind(b, a, equal_var=False).confidence_interval(0.95)
    assert (found.difference.low, found.difference.high) == pytest.approx((-0.538157, 2.347680), abs=1e-6)
    assert found.ratio is not None and found.ratio.value == pytest.approx(b.mean() / a.mean())


def test_of_one_user_no_mean_is_known_and_of_equal_ones_all() -> None:
    assert means(Sample(1, 2.0, 4.0), Sample(9, 9.0, 9.0)).difference.low == -math.inf
    assert (
        means(Sample(5, 5.0, 5.0), Sample(9, 9.0, 9.0)).difference
        == means(Sample(5, 5.0, 5.0), Sample(5, 5.0, 5.0)).difference
    )


@pytest.mark.parametrize(("b", "likely"), [(200, True), (230, True), (300, False), (120, False)])
def test_arms_that_were_not_dealt_as_asked_are_noticed(b: int, likely: bool) -> None:
    assert (mismatch(1000 - b, b, 20) > 0.001) is likely
    # scipy.stats.chisquare([770, 230], [800, 200])
    assert mismatch(770, 230, 20) == pytest.approx(0.01770607)


def test_the_users_needed_show_the_difference_four_times_in_five() -> None:
    users, random = users_needed(0.10, 0.13, 20), np.random.default_rng(2)
    assert users is not None
    n_a, n_b, runs = round(0.8 * users), round(0.2 * users), 2000
    rates = random.binomial(n_a, 0.10, runs) / n_a, random.binomial(n_b, 0.13, runs) / n_b
    error = np.sqrt(rates[0] * (1 - rates[0]) / n_a + rates[1] * (1 - rates[1]) / n_b)
    assert 0.77 < np.mean(np.abs(rates[1] - rates[0]) > 1.96 * error) < 0.83
    assert users_needed(0.1, 0.1, 50) is None


@pytest.mark.soak
def test_intervals_cover_in_95_of_100() -> None:
    """Of ratios and of events a user too; its sister, of shares in the registry, is in test_ab_command.py."""
    random, runs, users_a, users_b = np.random.default_rng(3), 1000, 800, 200
    covered = np.zeros(4)
    for _ in range(runs):
        a, b = random.poisson(0.20, users_a), random.poisson(0.30, users_b)
        did = shares((users_a, int((a > 0).sum())), (users_b, int((b > 0).sum())))
        done = means(sample(a.astype(float)), sample(b.astype(float)))
        p_a, p_b = 1 - math.exp(-0.20), 1 - math.exp(-0.30)
        known = [(did.difference, p_b - p_a), (did.ratio, p_b / p_a), (done.difference, 0.10), (done.ratio, 1.5)]
        covered += [one is not None and one.low <= truth <= one.high for one, truth in known]
    assert (covered / runs > 0.935).all() and (covered / runs < 0.965).all(), covered
