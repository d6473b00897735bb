"""`openpersonalize why` beside the runtime: the same items, the same scores, whatever both have read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipelines.platform.why_command import CannotTell, Explanation, Question, collect
from pipelines.platform.why_views import lines
from tests.support.runtime import Shop, event, until

CONTEXT = {"DEVICE": "tv"}
USERS = {
    "type": "record",
    "name": "Users",
    "namespace": "com.amazonaws.personalize.schema",
    "version": "1.0",
    "fields": [
        {"name": "USER_ID", "type": "string"},
        {"name": "GENDER", "type": "string", "categorical": True},
        {"name": "AGE", "type": "int"},
    ],
}


def answered(answer: dict[str, Any]) -> list[tuple[str, float | None]]:
    return [(item["itemId"], item.get("score")) for item in answer["itemList"]]


def explained(found: Explanation) -> list[tuple[str, float | None]]:
    return [(reason.item_id, reason.score) for reason in found.reasons]


@pytest.mark.parametrize("user", ["u1", "somebody-new"])
def test_the_scores_are_the_answers(shop: Shop, recommendations: Any, events: Any, user: str) -> None:
    users = shop.add_dataset("USERS", USERS)
    campaign = shop.deploy(shop.add_version(items=60, side=True), "shop")
    events.put_events(trackingId=shop.tracking_id, userId=user, sessionId="s", eventList=[event("i42"), event("i7")])
    events.put_users(datasetArn=users, users=[{"userId": user, "properties": '{"gender": "f", "age": 30}'}])
    answer = recommendations.get_recommendations(campaignArn=campaign, userId=user, context=CONTEXT)
    found = collect(shop.settings, Question(campaign, user, count=25, context=CONTEXT))
    assert explained(found) == answered(answer)
    assert found.events is not None and found.events[1] == 2
    [third] = collect(shop.settings, Question("shop", user, found.reasons[2].item_id, context=CONTEXT)).reasons
    assert third == found.reasons[2] and third.rank == 3
    assert {("user", "GENDER = f"), ("situation", "DEVICE = tv"), ("event", "i42")} <= {
        (push.kind, push.name) for push in third.pushes
    }


def test_answers_that_explored_are_told_as_they_were_given(shop: Shop, recommendations: Any) -> None:
    new = np.where(np.arange(60) % 6, 1_500_000_000, 1_600_000_000)
    version = shop.add_version(items=60, users=2, events=3, created=new)
    campaign = shop.deploy(version, "shop", itemExplorationConfig={"explorationWeight": "0.9"})
    # Each with its own chance; one in forty explores nothing.
    answers = [recommendations.get_recommendations(campaignArn=campaign, userId="u1") for _ in range(4)]
    ids = [answer["recommendationId"] for answer in answers]
    select = "SELECT count(*) FROM openpersonalize.served WHERE recommendation_id = ANY(%s)"
    until("the answers are written", lambda: shop.query(select, ids)[0][0] == len(ids))
    told = [collect(shop.settings, Question("shop", "u1", count=25, answer=id)) for id in ids]
    assert list(map(explained, told)) == list(map(answered, answers))
    assert not any(found.notes for found in told)
    assert any(reason.how == "explored" for found in told for reason in found.reasons)
    pure = collect(shop.settings, Question("shop", "u1", count=25))
    assert {reason.how for reason in pure.reasons} == {"personal"} and "explores" in pure.notes[0]
    with pytest.raises(CannotTell, match="another user"):
        collect(shop.settings, Question("shop", "u2", answer=ids[0]))


def test_items_that_go_with_another_are_those_of_the_answer(shop: Shop, recommendations: Any) -> None:
    version = shop.add_version("sims", recipe_type="RELATED_ITEMS", kind="neighbours", items=60)
    campaign = shop.deploy(version, "sims")
    answer = recommendations.get_recommendations(campaignArn=campaign, itemId="i3", numResults=10)
    found = collect(shop.settings, Question("sims", "", "i3", count=10))
    assert explained(found) == answered(answer)
    assert any("similarity with i3" in line for line in lines(found))


def test_a_ranking_campaign_says_that_its_scores_are_shares_of_the_list(shop: Shop, recommendations: Any) -> None:
    shop.deploy(shop.add_version("rank", recipe_type="PERSONALIZED_RANKING", items=60), "rank")
    found = collect(shop.settings, Question("rank", "u1"))
    assert "shares of the given list" in found.notes[0] and len(found.reasons) == 5
