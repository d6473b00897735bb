"""The reliability table and its error, against numbers computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.evaluation.calibration import EDGES, Reliability


def test_pairs_are_binned_by_score_and_the_bins_errors_add_up() -> None:
    table = Reliability()
    table.add(np.array([0.5, 0.2, 0.02]), np.array([True, False, False]))
    table.add(np.array([0.4, 0.02, 0.02]), np.array([False, False, False]))
    report = table.report()
    assert report["queries"] == 2
    assert [(found["pairs"], found["score"], found["came_true"]) for found in report["bins"]] == [
        (3, 0.02, 0.0),
        (1, 0.2, 0.0),
        (2, 0.45, 0.5),
    ]
    # 3/6 x 0.02 + 1/6 x 0.2 + 2/6 x 0.05
    assert report["ece"] == pytest.approx(0.06, abs=1e-6)
    assert report["mean_score"] == pytest.approx(1.16 / 6, abs=1e-6)
    assert report["hit_rate"] == pytest.approx(1 / 6, abs=1e-6)
    # sqrt(2/pi x 0.0588), sqrt(2/pi x 0.16), sqrt(2/pi x 0.49), over 6 pairs
    assert report["by_chance"] == pytest.approx((0.193476 + 0.319154 + 0.558519) / 6, abs=1e-6)


def test_bins_are_half_a_power_of_ten_wide_and_hold_their_upper_end() -> None:
    table = Reliability()
    table.add(np.array([1.0, 0.1, 0.1000001, 1e-4, 1e-9, 0.0]), np.zeros(6, bool))
    assert [(found["up_to"], found["pairs"]) for found in table.report()["bins"]] == [
        (0.0001, 3),
        (0.1, 1),
        (0.316228, 1),
        (1.0, 1),
    ]
    assert len(EDGES) == 9


@pytest.mark.parametrize(("inflated", "far_off"), [(1.0, False), (4.0, True)])
def test_true_probabilities_err_as_chance_does_and_wrong_ones_by_more(inflated: float, far_off: bool) -> None:
    random = np.random.default_rng(0)
    table = Reliability()
    for _ in range(2000):
        likely = random.dirichlet(np.full(50, 0.1))
        best = np.argsort(-likely)[:25]
        claimed = likely**inflated / (likely**inflated).sum()
        table.add(claimed[best], best == random.choice(50, p=likely))
    report = table.report()
    assert (report["ece"] > 2 * report["by_chance"]) == far_off


def test_without_queries_nothing_is_measurable() -> None:
    assert Reliability().report() == {"not_measurable": "there are no test users"}
