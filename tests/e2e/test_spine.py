"""From raw interactions to scored recommendations, on all real processes, through boto3."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pipelines.platform.clients import Clients
from pipelines.settings import Settings
from tests.support import shop
from tests.support.life import Life, wait_for

pytestmark = pytest.mark.e2e


@dataclass
class Trained:
    """A dataset group with data, two versions that trained at the same time, and a campaign on each."""

    life: Life
    recommender_version: str
    recommender: str
    ranker: str


@pytest.fixture(scope="module")
def trained(platform: Settings) -> Trained:
    life = Life(Clients.of(platform), "spine")
    life.group()
    life.import_all(shop.write(platform.home / "data" / "spine"))
    versions = [
        life.start_training("user-personalization", hidden_dimension="32"),
        life.start_training("personalized-ranking", hidden_dimension="32"),
    ]
    for version in versions:
        life.active("SolutionVersion", version)
    campaigns = [life.deploy(f"spine-{n}", version) for n, version in enumerate(versions)]
    return Trained(life, versions[0], *campaigns)


def test_the_scores_of_the_whole_catalogue_sum_to_one(trained: Trained) -> None:
    items = trained.life.clients.runtime.get_recommendations(
        campaignArn=trained.recommender, userId="u1", numResults=500
    )["itemList"]
    scores = [item["score"] for item in items]
    assert len(items) == 100
    assert abs(sum(scores) - 1) <= len(items) * 5e-8 + 1e-7
    assert scores == sorted(scores, reverse=True)


def test_a_ranking_is_a_permutation_with_unknown_items_last_and_without_score(trained: Trained) -> None:
    ranking = trained.life.clients.runtime.get_personalized_ranking(
        campaignArn=trained.ranker, userId="u1", inputList=["i90", "never-seen", "i1", "i30"]
    )["personalizedRanking"]
    assert sorted(item["itemId"] for item in ranking) == ["i1", "i30", "i90", "never-seen"]
    assert ranking[-1] == {"itemId": "never-seen"}
    assert abs(sum(item["score"] for item in ranking[:-1]) - 1) <= 3 * 5e-8 + 1e-7


def test_the_model_has_learned_whose_taste_is_whose(trained: Trained) -> None:
    items = trained.life.clients.runtime.get_recommendations(
        campaignArn=trained.recommender, userId="u4", numResults=10
    )
    tastes = [int(item["itemId"][1:]) // 25 for item in items["itemList"]]
    assert tastes.count(0) >= 7, tastes


def test_metrics_have_aws_s_keys(trained: Trained) -> None:
    metrics = trained.life.clients.personalize.get_solution_metrics(solutionVersionArn=trained.recommender_version)
    expected = {"coverage", "mean_reciprocal_rank_at_25"}
    expected |= {f"normalized_discounted_cumulative_gain_at_{k}" for k in (5, 10, 25)}
    expected |= {f"precision_at_{k}" for k in (5, 10, 25)}
    assert set(metrics["metrics"]) == expected


def test_an_event_moves_the_very_next_list(trained: Trained) -> None:
    life = trained.life
    tracking_id = life.tracker()

    def first_taste() -> list[int]:
        items = life.clients.runtime.get_recommendations(campaignArn=trained.recommender, userId="new", numResults=10)
        return [int(item["itemId"][1:]) // 25 for item in items["itemList"]]

    before = first_taste()
    for item in ("i77", "i80", "i76"):
        life.send(tracking_id, "new", item)
    after = first_taste()
    assert after.count(3) > before.count(3), (before, after)


def test_a_bad_import_fails_with_a_reason_and_leaves_the_data(trained: Trained, platform: Settings) -> None:
    life = trained.life
    bad = platform.home / "data" / "spine" / "bad.csv"
    bad.write_text("ITEM_ID,GENRES\n1,Action\n")
    job = life.final("DatasetImportJob", life.start_import("INTERACTIONS", bad, "spine-bad"))
    assert job["status"] == "CREATE FAILED"
    assert "missing the following columns" in job["failureReason"]
    assert "USER_ID" in job["failureReason"]


def test_a_new_version_takes_over_without_a_failed_request(trained: Trained) -> None:
    life = trained.life
    solution = trained.recommender_version.rsplit("/", 1)[0]
    version = life.train_again(solution)
    life.active("SolutionVersion", version)
    life.clients.personalize.update_campaign(campaignArn=trained.recommender, solutionVersionArn=version)

    def taken_over() -> bool:
        life.clients.runtime.get_recommendations(campaignArn=trained.recommender, userId="u1")
        campaign = life.clients.personalize.describe_campaign(campaignArn=trained.recommender)["campaign"]
        return bool(campaign["latestCampaignUpdate"]["status"] == "ACTIVE")

    wait_for("the campaign's update", taken_over, seconds=60)
    campaign = life.clients.personalize.describe_campaign(campaignArn=trained.recommender)["campaign"]
    assert campaign["solutionVersionArn"] == version
