"""A small month of the simulation whose large one is tests/bench/exploration_bench.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.month import Plan, Shop

PLAN = Plan(users=60, old_items=200, new_a_day=6, days=6, updates_a_day=4)


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> dict[float, Shop]:
    folder: Path = tmp_path_factory.mktemp("month")
    shops = {weight: Shop(PLAN, weight, folder / "artefact") for weight in (0.0, 0.3)}
    for shop in shops.values():
        shop.run()
    return shops


def test_with_0_items_that_nobody_has_seen_stay_out(shops: dict[float, Shop]) -> None:
    """But for a kind of which the shop has little."""
    assert all(day.new_share < 0.02 for day in shops[0.0].days)
    assert not shops[0.0].places_by_age().any()


def test_with_a_third_new_items_come_in_and_fade_as_they_are_shown(shops: dict[float, Shop]) -> None:
    places = shops[0.3].places_by_age()
    assert places[0] > 0.3
    assert places[3] < 0.6 * places[0]


def test_exploration_takes_a_modest_share_of_the_places(shops: dict[float, Shop]) -> None:
    shares = [day.new_share for day in shops[0.3].days]
    assert all(0.02 < share < 0.3 for share in shares)
