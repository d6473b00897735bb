"""The interval of a count: exact where each person has one event, right about 95 times in 100 where they have many."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.evaluation.counts import interval


@pytest.mark.parametrize(
    ("events", "low", "high"), [(1, 0.0253, 5.5716), (10, 4.7954, 18.3904), (100, 81.3640, 121.6268)]
)
def test_with_one_event_a_person_it_is_that_of_a_poisson_count(events: int, low: float, high: float) -> None:
    assert interval(events, events, 1) == pytest.approx((low, high), abs=1e-4)


def test_events_of_the_same_person_tell_less() -> None:
    low, high = interval(100, 20 * 5**2, 5)
    assert (low, high) == pytest.approx((100 * 12.2165 / 20, 21 * 5 * 31.0 / 21), rel=0.02)
    assert high - low > 2 * np.subtract(*interval(100, 100, 1)[::-1])


def test_it_covers_the_expected_count_in_95_of_100_draws() -> None:
    chance = np.random.default_rng(7)
    people = chance.poisson(60, 400)
    covered = 0
    for count in people:
        events = chance.geometric(0.3, count)
        low, high = interval(events.sum(), (events**2).sum(), events.max())
        covered += low <= 60 / 0.3 <= high
    assert covered >= 0.94 * len(people)
