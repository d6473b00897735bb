"""`minScoreRatio`, `reason`, and the README's examples of what to do with scores."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from pipelines.serving.columns import FilterData
from tests.runtime.conftest import Standing
from tests.runtime.test_errors import INVALID, refusal
from tests.support import serving_examples
from tests.support.filtered_shop import ShopData
from tests.support.serving_examples import confident, good_enough, with_sponsored

README = (Path(__file__).parents[2] / "README.md").read_text()
ITEMS = [f"i{n}" for n in range(0, 60, 6)]


NO_EXPLORATION = {"itemExplorationConfig": {"explorationWeight": "0"}}


def nothing_known() -> FilterData:
    """Of items and users with the ids of an artefact."""
    return ShopData([{}] * 60, [None] * 10).filter_data()


def answer(standing: Standing, ratio: str | None = None, **members: Any) -> list[dict[str, Any]]:
    context = {} if ratio is None else {"context": {"minScoreRatio": ratio}}
    call = {"campaignArn": standing.campaign, "userId": "u1", "numResults": 60, **context, **members}
    found: list[dict[str, Any]] = standing.recommendations.get_recommendations(**call)["itemList"]
    return found


@pytest.mark.parametrize("ratio", ["0", "0.2", "0.5", "0.9", "1"])
def test_only_items_above_the_share_of_the_best_score_are_answered(standing: Standing, ratio: str) -> None:
    everything = answer(standing)
    least = float(ratio) * everything[0]["score"]
    found = answer(standing, ratio)
    assert found == [item for item in everything if item["score"] >= least]
    assert {"0": 60, "1": 1}.get(ratio, len(found)) == len(found)


def test_a_ranking_is_cut_too_and_items_without_a_score_go(standing: Standing) -> None:
    call = {"campaignArn": standing.ranking, "userId": "u1", "inputList": [*ITEMS, "unknown"]}
    rank = standing.recommendations.get_personalized_ranking
    everything = rank(**call)["personalizedRanking"]
    best = everything[0]["score"]
    found = rank(**call, context={"minScoreRatio": "0.4"})["personalizedRanking"]
    assert found == [item for item in everything if item.get("score", 0) >= 0.4 * best]
    assert 1 < len(found) < len(ITEMS)


def test_the_best_score_is_that_of_what_a_filter_leaves_and_promoted_items_are_not_cut(standing: Standing) -> None:
    shop, everything = standing.shop, answer(standing)
    first, last = everything[0]["itemId"], everything[-1]["itemId"]
    without = shop.add_filter("without-best", f"EXCLUDE ItemID WHERE Items.ITEM_ID = '{first}'")
    version = shop.add_version("filtered", items=60, filter_data=nothing_known())
    filtered = shop.deploy(version, "filtered", **NO_EXPLORATION)
    plain = answer(standing, campaignArn=filtered)
    found = answer(standing, "1", campaignArn=filtered, filterArn=without)
    assert [item["itemId"] for item in found] == [plain[1]["itemId"]]
    worst = shop.add_filter("worst", f"INCLUDE ItemID WHERE Items.ITEM_ID = '{last}'")
    promotion = {"name": "sale", "percentPromotedItems": 10, "filterArn": worst}
    mixed = {item["itemId"]: item for item in answer(standing, "1", campaignArn=filtered, promotions=[promotion])}
    assert set(mixed) == {first, last}
    assert mixed[last]["promotionName"] == "sale" and mixed[last]["reason"] == ["PromotedItem"]


@pytest.mark.parametrize("ratio", ["1.1", "-0.1", "half", "nan", ""])
def test_a_share_that_is_none_is_refused(standing: Standing, ratio: str) -> None:
    code, status, message = refusal(lambda: answer(standing, ratio))
    assert (code, status) == (INVALID, 400)
    assert f"context: minScoreRatio must be a number from 0 to 1, not {ratio!r}" in message


def test_a_recipe_without_scores_has_no_threshold(standing: Standing) -> None:
    popular = standing.shop.deploy(standing.shop.add_version("popular", kind="popular", items=60), "popular")
    code, status, message = refusal(lambda: answer(standing, "0.5", campaignArn=popular))
    assert (code, status) == (INVALID, 400) and "gives no scores" in message
    assert all("reason" not in item for item in answer(standing, campaignArn=popular))


# Reasons ------------------------------------------------------------------------------------------------


def test_who_is_not_known_gets_popular_items_and_is_told_so(standing: Standing) -> None:
    assert {tuple(item.get("reason", ())) for item in answer(standing, userId="nobody")} == {("PopularItem",)}
    assert all("reason" not in item for item in answer(standing))


def test_around_an_item_neighbours_come_first_and_what_fills_up_is_popular(standing: Standing) -> None:
    version = standing.shop.add_version("related", recipe_type="RELATED_ITEMS", kind="neighbours", items=60)
    arn = standing.shop.deploy(version, "related")
    answers = version.recommender.artefact.answers
    around = len(answers.of(0))  # type: ignore[union-attr]
    found = answer(standing, campaignArn=arn, itemId="i0", numResults=10)
    assert [item.get("reason") for item in found] == [None] * around + [["PopularItem"]] * (10 - around)


def test_items_that_exploration_has_brought_say_so(standing: Standing) -> None:
    created = [1_600_000_000 if n % 3 == 0 else 1_500_000_000 for n in range(60)]
    version = standing.shop.add_version("new", items=60, events=1, created=created)
    bold = standing.shop.deploy(version, "bold", itemExplorationConfig={"explorationWeight": "1"})
    without = standing.shop.deploy(version, "timid", **NO_EXPLORATION)
    pure = {item["itemId"] for item in answer(standing, campaignArn=without, numResults=25)}
    for _ in range(20):
        found = answer(standing, campaignArn=bold, numResults=25)
        explored = {item["itemId"] for item in found if item.get("reason") == ["Exploration"]}
        assert explored == {item["itemId"] for item in found} - pure
        if explored:
            return
    raise AssertionError("nothing was explored in twenty lists")


# Examples -----------------------------------------------------------------------------------------------


def test_the_example_of_a_relative_threshold(standing: Standing) -> None:
    everything = answer(standing, numResults=25)
    half = everything[0]["score"] / 2
    assert good_enough(standing.recommendations, standing.campaign, "u1") == [
        item["itemId"] for item in everything if item["score"] >= half
    ]


def test_the_example_of_a_high_confidence_action(standing: Standing) -> None:
    best = answer(standing)[0]
    for least, expected in ((best["score"] - 0.01, best["itemId"]), (best["score"] + 0.01, None)):
        assert confident(standing.recommendations, standing.campaign, "u1", least) == expected


def test_the_example_of_sponsored_items(standing: Standing) -> None:
    arguments = (standing.recommendations, standing.ranking, "u1", ITEMS)
    plain = with_sponsored(*arguments, bids={})
    scores = standing.recommendations.get_personalized_ranking(
        campaignArn=standing.ranking, userId="u1", inputList=ITEMS
    )["personalizedRanking"]
    assert plain == [item["itemId"] for item in scores]
    enough = scores[0]["score"] / scores[-1]["score"] * 1.01
    assert with_sponsored(*arguments, bids={plain[-1]: enough}) == [plain[-1], *plain[:-1]]


@pytest.mark.parametrize("name", re.findall(r"^def (\w+)\(", inspect.getsource(serving_examples), re.MULTILINE))
def test_readme_shows_an_example_as_it_stands(name: str) -> None:
    assert inspect.getsource(getattr(serving_examples, name)).strip() in README
