"""Recommenders through boto3: their states as clients see them, and every refusal. `step` is the reconciler's part."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from pipelines.platform.recommenders import advance_recommenders
from pipelines.platform.unavailable import end_unavailable
from tests.support.group import RECIPE, Group, make_group, refused

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TOP_PICKS = RECIPE + "vod-top-picks"
CONFIG = {
    "itemExplorationConfig": {"explorationWeight": "0.5", "explorationItemAgeCutOff": "7"},
    "minRecommendationRequestsPerSecond": 3,
    "trainingDataConfig": {"excludedDatasetColumns": {"INTERACTIONS": ["DEVICE"]}},
    "enableMetadataWithRecommendations": True,
}


@pytest.fixture
def video(personalize: Any) -> Group:
    return make_group(personalize, "video", columns=[{"name": "DEVICE", "type": "string"}], domain="VIDEO_ON_DEMAND")


@pytest.fixture
def step(db: Any) -> Callable[[], int]:
    def once() -> int:
        with db.connect() as conn:
            return advance_recommenders(conn, NOW)

    return once


def describe(personalize: Any, arn: str) -> Any:
    return personalize.describe_recommender(recommenderArn=arn)["recommender"]


def test_a_new_one_ends_with_what_to_do_instead(personalize: Any, video: Group, db: Any) -> None:
    asked = {"name": "top", "datasetGroupArn": video.arn, "recipeArn": TOP_PICKS}
    arn = personalize.create_recommender(**asked, recommenderConfig=CONFIG)["recommenderArn"]
    assert arn == "arn:aws:personalize:us-east-1:123456789012:recommender/top"
    shown = describe(personalize, arn)
    for timestamp in ("creationDateTime", "lastUpdatedDateTime"):
        assert shown.pop(timestamp)
    assert shown == {
        "name": "top", "recommenderArn": arn, "datasetGroupArn": video.arn, "recipeArn": TOP_PICKS,
        "recommenderConfig": CONFIG, "status": "CREATE PENDING",
    }  # fmt: skip
    assert refused(personalize.create_recommender, **asked)[0] == "ResourceAlreadyExistsException"
    code, message = refused(personalize.delete_recommender, recommenderArn=arn)
    assert (code, "CREATE PENDING" in message) == ("ResourceInUseException", True)
    with db.connect() as conn:
        assert end_unavailable(conn) == 1
    shown = describe(personalize, arn)
    assert (shown["status"], "modelMetrics" in shown) == ("CREATE FAILED", False)
    assert "not available yet" in shown["failureReason"] and "create a solution" in shown["failureReason"]
    [listed] = personalize.list_recommenders(datasetGroupArn=video.arn)["recommenders"]
    assert set(listed) == set(shown) - {"failureReason"}
    assert refused(personalize.start_recommender, recommenderArn=arn)[0] == "ResourceInUseException"
    personalize.delete_recommender(recommenderArn=arn)
    assert describe(personalize, arn)["status"] == "DELETE PENDING"


def test_stopped_and_started_again(personalize: Any, video: Group, move: Any, step: Callable[[], int]) -> None:
    popular = {"name": "popular", "datasetGroupArn": video.arn, "recipeArn": RECIPE + "vod-most-popular"}
    arn = personalize.create_recommender(**popular)["recommenderArn"]
    move(arn, status="ACTIVE", internal={"metrics": {"coverage": 0.5}})
    shown = describe(personalize, arn)
    assert (shown["recommenderConfig"], shown["modelMetrics"]) == (
        {"minRecommendationRequestsPerSecond": 1},
        {"coverage": 0.5},
    )
    path = [
        (personalize.stop_recommender, "STOP PENDING", "STOP IN_PROGRESS", "INACTIVE"),
        (personalize.start_recommender, "START PENDING", "START IN_PROGRESS", "ACTIVE"),
    ]
    for call, *states in path:
        assert call(recommenderArn=arn)["recommenderArn"] == arn
        for state in states:
            assert describe(personalize, arn)["status"] == state
            assert "modelMetrics" in describe(personalize, arn)
            assert refused(call, recommenderArn=arn)[0] == "ResourceInUseException"
            if state not in ("INACTIVE", "ACTIVE"):
                assert refused(personalize.delete_recommender, recommenderArn=arn)[0] == "ResourceInUseException"
            if state != "ACTIVE":
                update = {"recommenderArn": arn, "recommenderConfig": {}}
                assert refused(personalize.update_recommender, **update)[0] == "ResourceInUseException"
            step()
    assert step() == 0


def test_the_old_configuration_serves_until_the_new_one_is_active(
    personalize: Any, video: Group, move: Any, step: Callable[[], int]
) -> None:
    asked = {"name": "top", "datasetGroupArn": video.arn, "recipeArn": TOP_PICKS, "recommenderConfig": CONFIG}
    arn = personalize.create_recommender(**asked)["recommenderArn"]
    move(arn, status="ACTIVE")
    faster = {**CONFIG, "minRecommendationRequestsPerSecond": 9}
    assert personalize.update_recommender(recommenderArn=arn, recommenderConfig=faster)["recommenderArn"] == arn
    for status in ("CREATE PENDING", "CREATE IN_PROGRESS"):
        shown = describe(personalize, arn)
        latest = shown["latestRecommenderUpdate"]
        assert (shown["status"], shown["recommenderConfig"]) == ("ACTIVE", CONFIG)
        assert (latest["status"], latest["recommenderConfig"]) == (status, faster)
        assert latest["creationDateTime"] and latest["lastUpdatedDateTime"]
        again = {"recommenderArn": arn, "recommenderConfig": {}}
        code, message = refused(personalize.update_recommender, **again)
        assert (code, "being updated" in message) == ("ResourceInUseException", True)
        assert refused(personalize.stop_recommender, recommenderArn=arn)[0] == "ResourceInUseException"
        step()
    shown = describe(personalize, arn)
    assert (shown["latestRecommenderUpdate"]["status"], shown["recommenderConfig"]) == ("ACTIVE", faster)
    assert step() == 0


def test_an_update_that_needs_a_training_fails_and_changes_nothing(
    personalize: Any, video: Group, move: Any, step: Callable[[], int]
) -> None:
    asked = {"name": "top", "datasetGroupArn": video.arn, "recipeArn": TOP_PICKS, "recommenderConfig": CONFIG}
    arn = personalize.create_recommender(**asked)["recommenderArn"]
    move(arn, status="ACTIVE")
    personalize.update_recommender(recommenderArn=arn, recommenderConfig={})
    assert (step(), step()) == (1, 1)
    shown = describe(personalize, arn)
    assert (shown["status"], shown["recommenderConfig"]) == ("ACTIVE", CONFIG)
    latest = shown["latestRecommenderUpdate"]
    assert (latest["status"], "not available yet" in latest["failureReason"]) == ("CREATE FAILED", True)
    personalize.stop_recommender(recommenderArn=arn)


def test_what_does_not_fit_is_refused(personalize: Any, group: Group, video: Group) -> None:
    def create(**given: Any) -> tuple[str, str]:
        asked = {"name": "top", "datasetGroupArn": video.arn, "recipeArn": TOP_PICKS, **given}
        return refused(personalize.create_recommender, **asked)

    for given, words in (
        ({"datasetGroupArn": group.arn}, "datasetGroupArn: a recommender needs a dataset group with a domain"),
        ({"recipeArn": RECIPE + "user-personalization"}, "recipeArn: aws-user-personalization is a custom recipe"),
        ({"recipeArn": RECIPE + "ecomm-popular-items-by-views"}, "is a use case of ECOMMERCE"),
        (
            {"recommenderConfig": {"itemExplorationConfig": {"explorationWeight": "-1"}}},
            "recommenderConfig.itemExplorationConfig.explorationWeight",
        ),
        (
            {"recipeArn": RECIPE + "vod-more-like-x", "recommenderConfig": CONFIG},
            "recommenderConfig.itemExplorationConfig: aws-vod-more-like-x does not explore",
        ),
        (
            {"recommenderConfig": {"trainingDataConfig": {"excludedDatasetColumns": {"INTERACTIONS": ["SIZE"]}}}},
            "recommenderConfig.trainingDataConfig.excludedDatasetColumns.INTERACTIONS: 'SIZE' is not a column",
        ),
        (
            {"recommenderConfig": {"trainingDataConfig": {"includedDatasetColumns": {"ITEMS": ["SIZE"]}}}},
            "the dataset group has no ITEMS dataset",
        ),
    ):
        code, message = create(**given)
        assert code == "InvalidInputException" and words in message, (given, message)
    assert create(recipeArn=RECIPE + "vod-no-such")[0] == "ResourceNotFoundException"
    assert create(datasetGroupArn=video.arn + "x")[0] == "ResourceNotFoundException"
    assert personalize.list_recommenders()["recommenders"] == []


def test_a_group_is_kept_by_its_recommenders(personalize: Any, video: Group, move: Any) -> None:
    asked = {"name": "top", "datasetGroupArn": video.arn, "recipeArn": TOP_PICKS}
    arn = personalize.create_recommender(**asked)["recommenderArn"]
    move(arn, status="INACTIVE")
    personalize.delete_dataset(datasetArn=video.dataset)
    code, message = refused(personalize.delete_dataset_group, datasetGroupArn=video.arn)
    assert (code, arn in message) == ("ResourceInUseException", True)
    personalize.delete_recommender(recommenderArn=arn)
    personalize.delete_dataset_group(datasetGroupArn=video.arn)
    assert refused(personalize.create_recommender, **{**asked, "name": "late"})[0] == "ResourceInUseException"
