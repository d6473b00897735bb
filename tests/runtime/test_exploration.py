"""Exploration through boto3: what campaignConfig says, what is remembered, what events about it lead to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert

from pipelines.datasets import impressions
from pipelines.platform.explore_command import collect
from pipelines.platform.explore_views import lines
from pipelines.registry.database import transaction
from pipelines.registry.tables import events as event_log
from pipelines.registry.tables import served
from pipelines.serving.asked import Asked
from pipelines.serving.exploration import LEVELS, Exploration, probability
from tests.runtime.conftest import Standing
from tests.support.runtime import Shop, Version, client, event, until
from tests.support.runtime_servers import uvicorn_runtime

ITEMS, NEW = 300, 60
BORN = [1_500_000_000] * (ITEMS - NEW) + [1_600_000_000] * NEW
NEW_ITEMS = {f"i{n}" for n in range(ITEMS - NEW, ITEMS)}


class Exploring:
    """A campaign of the default config over a catalogue of which a fifth is new."""

    def __init__(self, shop: Shop, url: str) -> None:
        self.shop = shop
        self.version: Version = shop.add_version(items=ITEMS, created=BORN)
        self.campaign = shop.deploy(self.version, "explores")
        self.recommendations = client("personalize-runtime", url)
        self.events = client("personalize-events", url)

    def ask(self, user: str, campaign: str | None = None) -> tuple[str, list[tuple[str, float]]]:
        answer = self.recommendations.get_recommendations(campaignArn=campaign or self.campaign, userId=user)
        return answer["recommendationId"], [(item["itemId"], item["score"]) for item in answer["itemList"]]

    def remembered(self, recommendation_id: str) -> tuple[Any, ...]:
        """The row's items, exploration_weight, propensities, shown_at and served_at in epoch seconds."""
        query = (
            "SELECT items, exploration_weight, propensities, shown_at, extract(epoch FROM served_at)::float8 "
            "FROM openpersonalize.served WHERE recommendation_id = %s"
        )
        row: tuple[Any, ...] = until("the answer is remembered", lambda: self.shop.query(query, recommendation_id))[0]
        return row


@pytest.fixture(scope="module")
def exploring(postgres: Any, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exploring]:
    from tests.runtime.conftest import module_shop

    with module_shop(postgres, migrated_template, tmp_path_factory) as shop, uvicorn_runtime(shop.settings) as url:
        yield Exploring(shop, url)


def test_weight_0_is_the_pure_ranking_and_nothing_is_recorded_of_it(exploring: Exploring) -> None:
    config = {"itemExplorationConfig": {"explorationWeight": "0", "explorationItemAgeCutOff": "30"}}
    campaign = exploring.shop.deploy(exploring.version, "pure", **config)
    recommendation_id, answer = exploring.ask("u3", campaign)
    expected = exploring.version.recommender.recommend(Asked("u3"), 25)
    assert answer == [(one.item_id, one.score) for one in expected]
    assert exploring.remembered(recommendation_id)[1:4] == (None, None, None)


def test_by_default_new_items_get_places_they_would_not_have(exploring: Exploring) -> None:
    pure = {one.item_id for one in exploring.version.recommender.recommend(Asked("u3"), 25)}
    lists = [{item for item, _ in exploring.ask("u3")[1]} for _ in range(20)]
    gained = set.union(*lists) - pure
    assert gained and gained <= NEW_ITEMS


def test_an_answer_follows_from_its_recommendation_id(exploring: Exploring) -> None:
    for _ in range(5):
        recommendation_id, answer = exploring.ask("u4")
        items, weight, propensities, shown_at, at = exploring.remembered(recommendation_id)
        asked = Asked("u4", exploration=Exploration(), seed=recommendation_id, now=at)
        again = exploring.version.recommender.recommend(asked, 25)
        assert answer == [(one.item_id, one.score) for one in again]
        assert items == [item for item, _ in answer] and weight == 0.3
        assert shown_at == [one.shown_at for one in again]
        tried = [probability(0.3, level) for level in LEVELS]
        expected = [sum(p for k, p in enumerate(tried) if bits >> k & 1) for bits in shown_at]
        assert propensities == pytest.approx(expected, abs=1e-5)


def test_order_and_score_agree_on_explored_lists(exploring: Exploring) -> None:
    for _ in range(5):
        scores = [score for _, score in exploring.ask("u5")[1]]
        assert scores == sorted(scores, reverse=True)


def test_a_ranking_of_given_items_is_not_explored(standing: Standing) -> None:
    items = [f"i{n}" for n in range(30)]
    call = {"campaignArn": standing.ranking, "userId": "u1", "inputList": items}
    first, second = (standing.recommendations.get_personalized_ranking(**call) for _ in range(2))
    assert first["personalizedRanking"] == second["personalizedRanking"]


def test_an_event_that_names_an_answer_counts_as_an_impression_of_its_list(
    exploring: Exploring, tmp_path: Path
) -> None:
    recommendation_id, answer = exploring.ask("u6")
    taken, *others = [item for item, _ in answer]
    exploring.remembered(recommendation_id)
    one = event(taken, recommendationId=recommendation_id)
    exploring.events.put_events(trackingId=exploring.shop.tracking_id, userId="u6", sessionId="s", eventList=[one])
    with exploring.shop.engine.connect() as conn:
        impressions.resolve(conn, datetime.now(UTC))
        impressions.freeze(conn, exploring.shop.group_id, 1_000_000, tmp_path / "shown")
    table = impressions.read(tmp_path / "shown")
    assert table["ITEM_ID"].to_pylist() == sorted(others) and set(table["SHOWN"].to_pylist()) == {1}


# explore-report -----------------------------------------------------------------------------------------------------


def report(exploring: Exploring, campaign: str) -> list[str]:
    return lines(collect(exploring.shop.settings, campaign))


def test_a_campaign_that_was_not_asked_yet_says_so(exploring: Exploring) -> None:
    exploring.shop.deploy(exploring.version, "idle")
    assert "no list was served in the last 24 hours" in report(exploring, "idle")[1]


def test_a_campaign_of_weight_0_says_that_its_lists_tell_nothing_of_others(exploring: Exploring) -> None:
    config = {"itemExplorationConfig": {"explorationWeight": "0"}}
    exploring.remembered(exploring.ask("u1", exploring.shop.deploy(exploring.version, "zero", **config))[0])
    assert "the pure ranking, and say nothing of other weights" in report(exploring, "zero")[1]


def test_without_an_event_that_names_a_list_the_report_says_what_to_do(exploring: Exploring) -> None:
    campaign = exploring.shop.deploy(exploring.version, "unnamed")
    exploring.remembered(exploring.ask("u1", campaign)[0])
    assert any("Pass the answer's recommendationId" in line for line in report(exploring, "unnamed"))


def test_the_report_finds_what_the_lists_and_their_events_say(exploring: Exploring) -> None:
    """600 lists as the runtime would have written them; of each the best that is not explored is taken, of every other a new one."""
    shop = exploring.shop
    arn = shop.deploy(exploring.version, "reported")
    campaign_id = shop.query("SELECT id FROM openpersonalize.resources WHERE arn = %s", arn)[0][0]
    recommender, now = exploring.version.recommender, datetime.now(UTC)
    lists, log = [], []
    for n in range(600):
        recommendation_id = f"RID-report-{n}"
        asked = Asked(f"u{n % 10}", exploration=Exploration(), seed=recommendation_id, now=now.timestamp())
        scored = recommender.recommend(asked, 25)
        lists.append(_row(campaign_id, recommendation_id, now, scored))
        new = next((one.item_id for one in scored if one.shown_at is not None and not one.shown_at & 1), None)
        best = next(one.item_id for one in scored if one.shown_at is None or one.shown_at & 1)
        for item in [best, *([new] if new and n % 2 else [])]:
            log.append(_event(shop.group_id, recommendation_id, item))
    with transaction(shop.settings) as conn:
        conn.execute(delete(event_log).where(event_log.c.group_id == shop.group_id))
        conn.execute(insert(served), lists)
        conn.execute(insert(event_log), log)
    found = collect(shop.settings, arn)
    assert (found.served, found.lists, found.taken) == (600, 600, len(log))
    assert 0.02 < found.explored < 0.5
    by_weight = {outlook.weight: outlook for outlook in found.outlooks}
    # The best of the pure ranking is taken whatever the weight; new ones come with it.
    assert by_weight[0.0].per_place.value == pytest.approx(1 / 25, abs=0.004)
    assert by_weight[0.3].per_list.value == pytest.approx(len(log) / 600)
    assert by_weight[0.0].per_place.value < by_weight[0.1].per_place.value
    assert {item.item_id for item in found.items} <= NEW_ITEMS and sum(item.taken for item in found.items) > 0
    shown = lines(found)
    assert any(line.startswith("0.3 (now)") for line in shown)
    assert any("too little" in line for line in shown)


def _row(campaign_id: str, recommendation_id: str, at: datetime, scored: Any) -> dict[str, Any]:
    from bento.served import exploration_columns

    columns = {"propensities": None, "shown_at": None, **exploration_columns(Exploration(), scored)}
    return {
        "served_at": at,
        "recommendation_id": recommendation_id,
        "campaign_id": campaign_id,
        "solution_version_id": "v",
        "items": [one.item_id for one in scored],
        **columns,
    }


def _event(group_id: str, recommendation_id: str, item: str) -> dict[str, Any]:
    return {
        "group_id": group_id, "user_key": "u", "session_id": "s", "event_id": f"{recommendation_id}-{item}",
        "event_type": "watch", "item_id": item, "sent_at": 1.7e9, "recommendation_id": recommendation_id,
    }  # fmt: skip
