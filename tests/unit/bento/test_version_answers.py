"""A single version, served by itself, answers as a campaign would: by the same rules, with context, for every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bento.version_service.answers import answer
from pipelines.aws.errors import InvalidInput, ResourceNotFound
from pipelines.serving.artefact import Artefact
from pipelines.serving.asked import Asked
from pipelines.serving.recommender import Recommender
from tests.support.artefacts import make_artefact

RECOMMEND, RANK = "GetRecommendations", "GetPersonalizedRanking"
MADE: dict[str, dict[str, Any]] = {
    "personal": {"side": True},
    "ranking": {"recipe_type": "PERSONALIZED_RANKING", "side": True},
    "related": {"recipe_type": "RELATED_ITEMS", "kind": "neighbours"},
    "popular": {"kind": "popular"},
}


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recommender]:
    folder: Path = tmp_path_factory.mktemp("versions")
    return {name: Recommender(Artefact.open(make_artefact(folder / name, **made))) for name, made in MADE.items()}


def test_recommendations_with_context_have_scores(versions: dict[str, Recommender]) -> None:
    version = versions["personal"]
    found = answer(version, RECOMMEND, {"userId": "u1", "numResults": 5, "context": {"DEVICE": "tv", "NO": "x"}})
    expected = version.recommend(Asked("u1", context={"DEVICE": "tv"}), 5)
    assert found == {"itemList": [{"itemId": one.item_id, "score": one.score} for one in expected]}
    assert found != answer(version, RECOMMEND, {"userId": "u1", "numResults": 5})


def test_a_ranking_with_context_has_unknown_items_last_and_without_score(versions: dict[str, Recommender]) -> None:
    call = {"userId": "u1", "inputList": ["i3", "never", "i9"], "context": {"DEVICE": "phone"}}
    ranked = answer(versions["ranking"], RANK, call)["personalizedRanking"]
    assert [set(item) for item in ranked] == [{"itemId", "score"}] * 2 + [{"itemId"}]


@pytest.mark.parametrize(
    ("version", "call"), [("related", {"itemId": "i3"}), ("popular", {}), ("popular", {"userId": "u1"})]
)
def test_recipes_without_scores_answer_without(versions: dict[str, Recommender], version: str, call: Any) -> None:
    items = answer(versions[version], RECOMMEND, call)["itemList"]
    assert len(items) == 25 and all("score" not in item for item in items)


@pytest.mark.parametrize("count", [{}, {"numResults": 0}, {"numResults": None}])
def test_25_items_are_the_default(versions: dict[str, Recommender], count: dict[str, Any]) -> None:
    assert len(answer(versions["popular"], RECOMMEND, count)["itemList"]) == 25


@pytest.mark.parametrize(
    ("version", "operation", "call", "says"),
    [
        ("personal", RECOMMEND, {}, "userId is required: .* USER_PERSONALIZATION"),
        ("personal", RECOMMEND, {"itemId": "i1"}, "userId is required"),
        ("personal", RECOMMEND, {"userId": "u1", "numResults": 501}, "numResults must be at most 500, not 501"),
        ("personal", RANK, {"userId": "u1", "inputList": ["i1"]}, "USER_PERSONALIZATION, .* GetRecommendations only"),
        ("related", RECOMMEND, {"userId": "u1"}, "itemId is required: .* RELATED_ITEMS"),
        ("related", RANK, {"userId": "u1", "inputList": ["i1"]}, "RELATED_ITEMS, .* GetRecommendations only"),
        ("ranking", RECOMMEND, {"userId": "u1"}, "PERSONALIZED_RANKING, .* GetPersonalizedRanking only"),
        ("ranking", RANK, {"userId": "u1", "inputList": []}, "inputList must hold 1 to 500 item ids, not 0"),
        ("ranking", RANK, {"userId": "u1", "inputList": ["i"] * 501}, "not 501"),
        ("personal", "GetActionRecommendations", {"userId": "u1"}, "GetActionRecommendations cannot be used"),
        ("personal", RECOMMEND, {"userId": "u1", "promotions": [{"name": "p"}]}, "promotions cannot be used"),
    ],
)
def test_what_the_recipe_does_not_allow_is_refused_by_name(
    versions: dict[str, Recommender], version: str, operation: str, call: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidInput, match=says):
        answer(versions[version], operation, call)


def test_a_filter_does_not_exist_here(versions: dict[str, Recommender]) -> None:
    with pytest.raises(ResourceNotFound, match="filterArn"):
        answer(versions["personal"], RECOMMEND, {"userId": "u1", "filterArn": "arn:f"})
