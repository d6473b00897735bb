"""Campaigns on recipes without scores: related items and what is popular, by the members that each needs and ignores."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from pipelines.serving.asked import Asked
from tests.runtime.conftest import Standing, module_shop
from tests.runtime.test_errors import INVALID, refusal
from tests.support.runtime import Version, event, until
from tests.support.runtime_servers import uvicorn_runtime

POPULAR = [f"i{n}" for n in range(60)]  # the artefacts' popularity falls with the number


@pytest.fixture(scope="module")
def versions() -> dict[str, Version]:
    return {}


@pytest.fixture(scope="module")
def standing(
    postgres: Any, migrated_template: str, tmp_path_factory: pytest.TempPathFactory, versions: dict[str, Version]
) -> Iterator[Standing]:
    """`campaign` answers related items, `ranking` what is popular."""
    with (
        module_shop(postgres, migrated_template, tmp_path_factory) as shop,
        uvicorn_runtime(shop.settings) as url,
    ):
        versions["related"] = shop.add_version("sims", recipe_type="RELATED_ITEMS", kind="neighbours", items=60)
        related = shop.deploy(versions["related"], "related")
        popular = shop.deploy(shop.add_version("popular", kind="popular", items=60), "popular")
        yield Standing(shop, url, related, popular)


def listed(standing: Standing, campaign: str, **members: Any) -> list[str]:
    items = standing.recommendations.get_recommendations(campaignArn=campaign, **members)["itemList"]
    assert all("score" not in item for item in items), "no score where the recipe has none"
    return [item["itemId"] for item in items]


def test_related_items_are_the_neighbours_then_what_is_popular(standing: Standing, versions: Any) -> None:
    for item in ("i3", "i4", "i59"):
        found = listed(standing, standing.campaign, itemId=item)
        expected = versions["related"].recommender.recommend(Asked(item_id=item), 25)
        assert found == [scored.item_id for scored in expected] and item not in found and len(found) == 25
    assert listed(standing, standing.campaign, itemId="i59") == POPULAR[:25]


def test_an_item_that_is_unknown_gets_what_is_popular(standing: Standing) -> None:
    assert listed(standing, standing.campaign, itemId="never-seen", numResults=5) == POPULAR[:5]


def test_related_items_need_an_item(standing: Standing) -> None:
    for members in ({}, {"userId": "u1"}):
        code, status, message = refusal(
            standing.recommendations.get_recommendations, campaignArn=standing.campaign, **members
        )
        assert (code, status) == (INVALID, 400) and "itemId is required" in message and "RELATED_ITEMS" in message


def test_user_and_context_change_nothing_about_related_items(standing: Standing) -> None:
    plain = listed(standing, standing.campaign, itemId="i3")
    standing.events.put_events(
        trackingId=standing.shop.tracking_id, userId="u1", sessionId="s", eventList=[event("i42")]
    )
    assert listed(standing, standing.campaign, itemId="i3", userId="u1", context={"DEVICE": "tv"}) == plain


def test_what_is_popular_needs_neither_user_nor_item(standing: Standing) -> None:
    standing.events.put_events(
        trackingId=standing.shop.tracking_id, userId="u2", sessionId="s", eventList=[event("i42")]
    )
    for members in ({}, {"userId": "u2"}, {"userId": "nobody", "itemId": "i3"}, {"context": {"DEVICE": "tv"}}):
        assert listed(standing, standing.ranking, **members) == POPULAR[:25]


@pytest.mark.parametrize("which", ["campaign", "ranking"])
def test_neither_ranks(standing: Standing, which: str) -> None:
    code, status, message = refusal(
        standing.recommendations.get_personalized_ranking,
        campaignArn=getattr(standing, which),
        userId="u1",
        inputList=["i1"],
    )
    assert (code, status) == (INVALID, 400) and "GetRecommendations only" in message


def test_what_was_served_to_nobody_is_remembered_too(standing: Standing) -> None:
    answer = standing.recommendations.get_recommendations(campaignArn=standing.ranking, numResults=2)
    select = "SELECT user_id, items FROM openpersonalize.served WHERE recommendation_id = %s"
    look = partial(standing.shop.query, select, answer["recommendationId"])
    assert until("the answer in `served`", look, 3) == [(None, ["i0", "i1"])]
