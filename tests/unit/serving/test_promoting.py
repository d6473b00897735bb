"""Promotions: how many places they take, what stands there, and that everything else stays."""

from __future__ import annotations

import pytest

from pipelines.serving.artefact import Artefact
from pipelines.serving.asked import Asked
from pipelines.serving.exploration import Exploration
from pipelines.serving.filtering import FilterAsked, Filtered, Filtering
from pipelines.serving.promoting import Promotion
from pipelines.serving.recommender import Recommender
from tests.support.filtered_shop import ShopData
from tests.support.filters import checked

ITEMS = 60
SHOP = ShopData(items=[{"BRAND": "ABC"[n % 3], "PRICE": float(n)} for n in range(ITEMS)], users=[{}] * 10)


@pytest.fixture(scope="module")
def recommender(tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    return Recommender(SHOP.artefact(tmp_path_factory.mktemp("version") / "a", created=1_600_000_000))


def filtered(artefact: Artefact, text: str) -> Filtered:
    return Filtered(Filtering(artefact, checked(text)), FilterAsked({}, "u1", None, 0.0))


def asked(recommender: Recommender, text: str, percent: int, request: str | None = None, seed: str = "RID-1") -> Asked:
    promotion = Promotion("new", percent, filtered(recommender.artefact, text))
    of_request = None if request is None else filtered(recommender.artefact, request)
    return Asked("u1", seed=seed, promotion=promotion, filtered=of_request)


@pytest.mark.parametrize(
    ("percent", "count", "places"),
    [(50, 10, 5), (25, 10, 3), (24, 10, 2), (1, 10, 1), (100, 10, 10), (1, 1, 1), (50, 25, 13)],
)
def test_places_are_rounded_half_up_and_at_least_one(
    recommender: Recommender, percent: int, count: int, places: int
) -> None:
    promotion = Promotion("new", percent, filtered(recommender.artefact, 'INCLUDE ItemID WHERE Items.BRAND = "A"'))
    assert promotion.places(count) == places


def test_promoted_items_are_the_best_of_their_filter_and_all_keep_order_and_score(recommender: Recommender) -> None:
    everything = recommender.recommend(Asked("u1"), ITEMS)
    found = recommender.recommend(asked(recommender, 'INCLUDE ItemID WHERE Items.BRAND = "A"', 40), 10)
    promoted = [one._replace(promotion=None) for one in found if one.promotion == "new"]
    others = [one for one in found if one.promotion is None]
    assert promoted == [one for one in everything if int(one.item_id[1:]) % 3 == 0][:4]
    assert others == [one for one in everything if one not in promoted][:6]


def test_the_filter_of_the_request_is_not_for_promoted_items(recommender: Recommender) -> None:
    cheap = "INCLUDE ItemID WHERE Items.PRICE < 30"
    found = recommender.recommend(
        asked(recommender, 'INCLUDE ItemID WHERE Items.BRAND = "A" AND Items.PRICE > 40', 50, cheap), 10
    )
    assert [int(one.item_id[1:]) > 40 for one in found] == [one.promotion == "new" for one in found]
    assert sum(one.promotion == "new" for one in found) == 5


def test_too_few_are_filled_up(recommender: Recommender) -> None:
    found = recommender.recommend(asked(recommender, "INCLUDE ItemID WHERE Items.PRICE < 2", 50), 10)
    assert sorted(one.item_id for one in found if one.promotion) == ["i0", "i1"]
    assert len({one.item_id for one in found}) == 10


def test_their_places_are_chance_of_the_recommendation_id(recommender: Recommender) -> None:
    def places(seed: str) -> list[int]:
        found = recommender.recommend(asked(recommender, 'INCLUDE ItemID WHERE Items.BRAND = "A"', 20, seed=seed), 10)
        return [place for place, one in enumerate(found) if one.promotion]

    assert places("RID-1") == places("RID-1")
    assert len({tuple(places(f"RID-{number}")) for number in range(20)}) > 5


def test_what_exploration_would_have_shown_is_known_of_every_item(recommender: Recommender) -> None:
    question = asked(recommender, 'INCLUDE ItemID WHERE Items.BRAND = "A"', 20)
    exploring = Asked(
        "u1", seed="RID-3", promotion=question.promotion, exploration=Exploration(1.0, 36_500.0), now=1_700_000_000
    )
    found = recommender.recommend(exploring, 10)
    assert {one.shown_at is None for one in found} in ({True}, {False})
    assert sum(one.promotion is not None for one in found) == 2
