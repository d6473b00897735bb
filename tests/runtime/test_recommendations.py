"""GetRecommendations and GetPersonalizedRanking through boto3: lists, scores, users, what is remembered."""

from __future__ import annotations

import asyncio
import re
import uuid
from functools import partial
from typing import Any

import psycopg
import pytest

from bento.database import Database
from bento.histories import ALONE, ALONE_WITH_RECORD, TOGETHER, TOGETHER_WITH_RECORD, Histories, Known, Wanted
from pipelines.serving.asked import Asked
from tests.runtime.conftest import Standing
from tests.support.runtime import Shop, client, event, until
from tests.support.runtime_servers import uvicorn_runtime


def items_of(answer: dict[str, Any]) -> list[str]:
    return [item["itemId"] for item in answer.get("itemList") or answer["personalizedRanking"]]


def scores_of(answer: dict[str, Any]) -> list[float]:
    return [item["score"] for item in answer.get("itemList") or answer["personalizedRanking"]]


@pytest.mark.parametrize("given", [{}, {"numResults": 0}, {"numResults": 25}])
def test_the_default_is_25_items_in_the_order_of_their_scores(standing: Standing, given: dict[str, int]) -> None:
    answer = standing.recommendations.get_recommendations(campaignArn=standing.campaign, userId="u1", **given)
    items, scores = items_of(answer), scores_of(answer)
    assert len(items) == len(set(items)) == 25
    assert scores == sorted(scores, reverse=True) and 0 < sum(scores) < 1


def test_an_answer_is_that_of_the_version(shop: Shop, recommendations: Any) -> None:
    version = shop.add_version(items=60)
    campaign = shop.deploy(version, "same")
    answer = recommendations.get_recommendations(campaignArn=campaign, userId="u3", numResults=7)
    expected = version.recommender.recommend(Asked("u3"), 7)
    assert list(zip(items_of(answer), scores_of(answer), strict=True)) == [(s.item_id, s.score) for s in expected]


@pytest.mark.parametrize("user", ["u0", "u7", "never-seen"])
def test_the_scores_of_a_catalogue_of_500_items_sum_to_one(shop: Shop, recommendations: Any, user: str) -> None:
    campaign = shop.deploy(shop.add_version(items=500, dimension=16), "sums")
    answer = recommendations.get_recommendations(campaignArn=campaign, userId=user, numResults=500)
    scores = scores_of(answer)
    assert len(set(items_of(answer))) == 500
    assert abs(sum(scores) - 1) <= 500 * 5e-8 + 1e-7
    assert scores == sorted(scores, reverse=True)


def test_fewer_items_than_asked_for_are_all_there_are(standing: Standing) -> None:
    answer = standing.recommendations.get_recommendations(campaignArn=standing.campaign, userId="u1", numResults=500)
    assert len(items_of(answer)) == 60


def test_an_unknown_user_gets_what_is_popular(standing: Standing) -> None:
    answer = standing.recommendations.get_recommendations(campaignArn=standing.campaign, userId="nobody", numResults=3)
    assert items_of(answer) == ["i0", "i1", "i2"]  # the artefact's popularity falls with the number


def test_context_is_accepted(standing: Standing) -> None:
    plain = standing.recommendations.get_recommendations(campaignArn=standing.campaign, userId="u1")
    context = standing.recommendations.get_recommendations(
        campaignArn=standing.campaign, userId="u1", itemId="i1", context={"DEVICE_TYPE": "phone", "NO_SUCH": "x"}
    )
    assert items_of(plain) == items_of(context)


def test_a_ranking_is_a_permutation_with_unknown_items_last_and_without_score(standing: Standing) -> None:
    given = ["i3", "never-seen", "i30", "i59", "nor-this", "i0"]
    answer = standing.recommendations.get_personalized_ranking(
        campaignArn=standing.ranking, userId="u1", inputList=given
    )
    ranked = answer["personalizedRanking"]
    assert sorted(items_of(answer)) == sorted(given)
    assert [item for item in ranked if "score" not in item] == [{"itemId": "never-seen"}, {"itemId": "nor-this"}]
    assert ranked[-2:] == [{"itemId": "never-seen"}, {"itemId": "nor-this"}]
    scores = [item["score"] for item in ranked[:-2]]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("user", ["u1", "never-seen"])
def test_the_scores_of_a_ranking_of_500_items_sum_to_one(shop: Shop, recommendations: Any, user: str) -> None:
    version = shop.add_version("rank", recipe_type="PERSONALIZED_RANKING", items=700)
    campaign = shop.deploy(version, "rank")
    answer = recommendations.get_personalized_ranking(
        campaignArn=campaign, userId=user, inputList=[f"i{n}" for n in range(500)]
    )
    scores = scores_of(answer)
    assert abs(sum(scores) - 1) <= 500 * 5e-8 + 1e-7
    assert scores == sorted(scores, reverse=True)


def test_only_unknown_items_are_ranked_as_given(standing: Standing) -> None:
    answer = standing.recommendations.get_personalized_ranking(
        campaignArn=standing.ranking, userId="u1", inputList=["b", "a", "b"]
    )
    assert answer["personalizedRanking"] == [{"itemId": "b"}, {"itemId": "a"}]


def test_an_event_moves_the_very_next_list(shop: Shop, recommendations: Any, events: Any) -> None:
    version = shop.add_version(items=60)
    campaign = shop.deploy(version, "moves")
    before = recommendations.get_recommendations(campaignArn=campaign, userId="u1")
    sent = event("i42")
    events.put_events(trackingId=shop.tracking_id, userId="u1", sessionId="s", eventList=[sent])
    after = recommendations.get_recommendations(campaignArn=campaign, userId="u1")
    expected = version.recommender.recommend(Asked("u1", [("i42", sent["sentAt"])]), 25)
    assert items_of(after) == [scored.item_id for scored in expected] != items_of(before)


def test_streamed_events_count_newest_first_whatever_the_order_of_arrival(
    shop: Shop, recommendations: Any, events: Any
) -> None:
    version = shop.add_version(items=60, history_length=3)
    campaign = shop.deploy(version, "order")
    for at, item in ((1_700_000_003, "i3"), (1_700_000_001, "i1"), (1_700_000_004, "i4"), (1_700_000_002, "i2")):
        events.put_events(trackingId=shop.tracking_id, userId="u1", sessionId="s", eventList=[event(item, sent_at=at)])
    answer = recommendations.get_recommendations(campaignArn=campaign, userId="u1")
    newest = [("i4", 1_700_000_004.0), ("i3", 1_700_000_003.0), ("i2", 1_700_000_002.0)]
    assert items_of(answer) == [scored.item_id for scored in version.recommender.recommend(Asked("u1", newest), 25)]


def test_an_anonymous_session_is_asked_for_by_its_id(shop: Shop, recommendations: Any, events: Any) -> None:
    version = shop.add_version(items=60)
    campaign = shop.deploy(version, "anonymous")
    sent = event("i50")
    events.put_events(trackingId=shop.tracking_id, sessionId="visitor-1", eventList=[sent])
    answer = recommendations.get_recommendations(campaignArn=campaign, userId="visitor-1")
    expected = version.recommender.recommend(Asked("visitor-1", [("i50", sent["sentAt"])]), 25)
    assert items_of(answer) == [scored.item_id for scored in expected]
    stranger = recommendations.get_recommendations(campaignArn=campaign, userId="visitor-2")
    assert items_of(stranger) != items_of(answer)


def test_an_event_with_a_user_is_not_the_sessions(shop: Shop, recommendations: Any, events: Any) -> None:
    campaign = shop.deploy(shop.add_version(items=60), "linked")
    popular = items_of(recommendations.get_recommendations(campaignArn=campaign, userId="nobody"))
    events.put_events(trackingId=shop.tracking_id, userId="someone", sessionId="s-1", eventList=[event("i50")])
    assert items_of(recommendations.get_recommendations(campaignArn=campaign, userId="s-1")) == popular


def test_events_before_the_cut_off_are_the_versions_own(shop: Shop, recommendations: Any, events: Any) -> None:
    events.put_events(trackingId=shop.tracking_id, userId="u1", sessionId="s", eventList=[event("i41")])
    ((cutoff,),) = shop.query("SELECT max(id) FROM openpersonalize.events")
    sent = event("i42")
    events.put_events(trackingId=shop.tracking_id, userId="u1", sessionId="s", eventList=[sent])
    version = shop.add_version(items=60, event_cutoff=cutoff)
    campaign = shop.deploy(version, "cutoff")
    answer = recommendations.get_recommendations(campaignArn=campaign, userId="u1")
    expected = version.recommender.recommend(Asked("u1", [("i42", sent["sentAt"])]), 25)
    assert items_of(answer) == [scored.item_id for scored in expected]


def test_events_without_an_item_and_of_unknown_items_change_nothing(
    shop: Shop, recommendations: Any, events: Any
) -> None:
    campaign = shop.deploy(shop.add_version(items=60), "noitem")
    before = recommendations.get_recommendations(campaignArn=campaign, userId="u1")
    events.put_events(
        trackingId=shop.tracking_id, userId="u1", sessionId="s", eventList=[event(None), event("never-trained")]
    )
    assert items_of(recommendations.get_recommendations(campaignArn=campaign, userId="u1")) == items_of(before)


def test_what_was_served_is_written_within_seconds(standing: Standing) -> None:
    recommended = standing.recommendations.get_recommendations(campaignArn=standing.campaign, userId="u5", numResults=4)
    ranked = standing.recommendations.get_personalized_ranking(
        campaignArn=standing.ranking, userId="u5", inputList=["i1", "i2", "x"]
    )
    for answer, campaign in ((recommended, standing.campaign), (ranked, standing.ranking)):
        recommendation_id = answer["recommendationId"]
        assert re.fullmatch(r"RID-[0-9a-f-]{36}", recommendation_id) and uuid.UUID(recommendation_id[4:])
        select = (
            "SELECT s.items, s.user_id, s.request_id, c.arn, v.kind FROM openpersonalize.served s "
            "JOIN openpersonalize.resources c ON c.id = s.campaign_id "
            "JOIN openpersonalize.resources v ON v.id = s.solution_version_id WHERE recommendation_id = %s"
        )
        ((items, user, request_id, arn, kind),) = until(
            "the answer in `served`", partial(standing.shop.query, select, recommendation_id), 3
        )
        assert (items, user, arn, kind) == (items_of(answer), "u5", campaign, "SolutionVersion")
        assert request_id == answer["ResponseMetadata"]["RequestId"]


def test_what_was_served_is_written_when_the_runtime_stops(shop: Shop) -> None:
    with uvicorn_runtime(shop.settings) as url:
        campaign = shop.deploy(shop.add_version(items=60), "stops")
        runtime = client("personalize-runtime", url)
        ids = {runtime.get_recommendations(campaignArn=campaign, userId="u1")["recommendationId"] for _ in range(5)}
    written = {row[0] for row in shop.query("SELECT recommendation_id FROM openpersonalize.served")}
    assert ids <= written
    assert shop.query("SELECT id FROM openpersonalize.workers") == []


def test_a_history_is_read_from_its_own_index_alone(shop: Shop) -> None:
    shop.query(
        "INSERT INTO openpersonalize.events (group_id, user_key, session_id, event_id, event_type, item_id, sent_at) "
        "SELECT 'g', 'u' || n %% 500, 's', n::text, 'watch', 'i' || n, n FROM generate_series(1, 20000) n RETURNING 1"
    )
    shop.query(
        "INSERT INTO openpersonalize.records (dataset_id, record_id) "
        "SELECT 'd', 'u' || n %% 5000 FROM generate_series(1, 20000) n RETURNING 1"
    )
    with psycopg.connect(shop.url, autocommit=True) as conn:
        conn.execute("VACUUM ANALYZE openpersonalize.events, openpersonalize.records")
        for mode in ("force_generic_plan", "force_custom_plan"):
            conn.execute(f"SET plan_cache_mode = {mode}")  # type: ignore[arg-type]
            one = Wanted("g", "u7", 19_000, "d", 100)
            plan = _plan(conn, ALONE, one._asdict())
            assert "Index Only Scan using events_history" in plan and "Sort" not in plan, plan
            plan = _plan(conn, ALONE_WITH_RECORD, one._asdict())
            assert "Index Only Scan using events_history" in plan and "Index Scan using records_" in plan, plan
            several = [one._replace(user_key=f"u{n}") for n in range(9)]
            of = dict(zip(Wanted._fields, map(list, zip(*several, strict=True)), strict=True))
            plan = _plan(conn, TOGETHER, of)
            assert "Index Only Scan using events_history" in plan and "Seq Scan" not in plan, plan
            several = [one._replace(user_key=f"u{n}", users=None if n % 2 else "d") for n in range(9)]
            of = dict(zip(Wanted._fields, map(list, zip(*several, strict=True)), strict=True))
            plan = _plan(conn, TOGETHER_WITH_RECORD, of)
            assert "Index Only Scan using events_history" in plan and "Index Scan using records_" in plan, plan
            assert "Seq Scan" not in plan, plan


def _plan(conn: psycopg.Connection[Any], statement: str, of: dict[str, Any]) -> str:
    explained = conn.execute("EXPLAIN (ANALYZE, BUFFERS) " + statement, of, prepare=True)  # type: ignore[arg-type]
    return "\n".join(row[0] for row in explained)


def test_histories_asked_for_together_are_those_asked_for_alone(shop: Shop) -> None:
    shop.query(
        "INSERT INTO openpersonalize.events (group_id, user_key, session_id, event_id, event_type, item_id, sent_at) "
        "SELECT 'g' || n %% 2, 'u' || n %% 10, 's', n::text, 'watch', CASE WHEN n %% 7 > 0 THEN 'i' || n END, n %% 300 "
        "FROM generate_series(1, 3000) n RETURNING 1"
    )
    shop.query(
        "INSERT INTO openpersonalize.records (dataset_id, record_id, properties) "
        "SELECT 'd', 'u' || n %% 8, CASE WHEN n > 10 THEN jsonb_build_object('age', n, 'club', null) END "
        "FROM generate_series(1, 30) n RETURNING 1"
    )
    asked = [Wanted(f"g{n % 2}", f"u{n % 12}", 40 * n, "d" if n % 3 else None, n % 32) for n in range(40)]

    async def read() -> tuple[list[Known], list[Known]]:
        database = Database(shop.settings.database_url)
        await database.open()
        histories = Histories(database)
        alone = [await histories.newest(one) for one in asked]
        together = await asyncio.gather(*(histories.newest(one) for one in asked))
        await database.close()
        return alone, together

    alone, together = asyncio.run(read())
    assert together == alone
    assert {len(known.events) for known in alone} >= {0, 100}
    assert all(known.record is None for known, one in zip(alone, asked, strict=True) if one.users is None)
    records = [known.record for known in alone if known.record is not None]
    assert {"age": "29", "club": None} in records and len(records) > 10
