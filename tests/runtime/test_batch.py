"""A batch inference job answers what the runtime answers: the same items and scores, with all that was streamed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.batch import processes
from pipelines.batch.inference import infer
from tests.runtime.test_records import schema
from tests.support.batch import NO_EXPLORATION, add_job, answers, write_lines
from tests.support.filtered_shop import ShopData
from tests.support.filters import DATASETS
from tests.support.runtime import Shop, event


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "MOST", 1)


@pytest.fixture
def data(shop: Shop) -> Iterator[Path]:
    yield shop.settings.home / "data"


def test_lists_are_those_of_a_campaign(shop: Shop, recommendations: Any, events: Any, data: Path) -> None:
    fields = (("USER_ID", "string"), ("GENDER", ["null", "string"]), ("AGE", ["null", "int"]))
    users = shop.add_dataset("USERS", schema(*fields))
    # u3 watched before the version was trained, which knows it.
    sent = {"u3": ["i9"], "u4": ["i1", "i2", "unknown", "i3"], "visitor": ["i7"]}
    cutoff = 0
    for user, items in sent.items():
        events.put_events(
            trackingId=shop.tracking_id, userId=user, sessionId="s", eventList=[event(item) for item in items]
        )
        if user == "u3":
            [(cutoff,)] = shop.query("SELECT max(id) FROM openpersonalize.events")
    events.put_users(datasetArn=users, users=[{"userId": "u5", "properties": '{"gender": "f", "age": 70}'}])
    version = shop.add_version(items=80, side=True, event_cutoff=cutoff)
    campaign = shop.deploy(version, "front", **NO_EXPLORATION)
    asked = [{"userId": user} for user in ("u1", "u3", "u4", "u5", "visitor", "nobody")]
    asked += [{"userId": "u1", "context": {"DEVICE": "tv"}}]
    write_lines(data / "in.json", asked)
    job = add_job(
        shop, version, (data / "in.json").as_uri(), (data / "out").as_uri(), batchInferenceJobConfig=NO_EXPLORATION
    )
    infer(shop.settings, job.id)
    for given, line in zip(asked, answers(data / "out" / "in.json.out"), strict=True):
        live = recommendations.get_recommendations(campaignArn=campaign, numResults=5, **given)["itemList"]
        assert line["output"] == {
            "recommendedItems": [item["itemId"] for item in live],
            "scores": [item["score"] for item in live],
        }, given


def test_rankings_are_those_of_a_campaign(shop: Shop, recommendations: Any, data: Path) -> None:
    version = shop.add_version("rank", recipe_type="PERSONALIZED_RANKING")
    campaign = shop.deploy(version, "rank")
    listed = ["i3", "never", "i30", "i7", "i3"]
    write_lines(data / "in.json", [{"userId": "u1", "itemList": listed}])
    job = add_job(shop, version, (data / "in.json").as_uri(), (data / "out").as_uri())
    infer(shop.settings, job.id)
    live = recommendations.get_personalized_ranking(campaignArn=campaign, userId="u1", inputList=listed)
    [line] = answers(data / "out" / "in.json.out")
    assert line["output"] == {
        "recommendedItems": [item["itemId"] for item in live["personalizedRanking"]],
        "scores": [item.get("score") for item in live["personalizedRanking"]],
    }
    assert line["output"]["scores"][-1] is None


def test_filters_are_those_of_a_campaign(shop: Shop, recommendations: Any, events: Any, data: Path) -> None:
    fields = [(one.name, ["null", one.avro]) for one in DATASETS["USERS"]]
    users = shop.add_dataset("USERS", schema(("USER_ID", "string"), *fields[1:]))
    genres = [{"GENRES": ("Comedy", "Drama")[n % 2], "PRICE": float(n)} for n in range(60)]
    shop_data = ShopData(items=genres, users=[{"AGE": 10}] * 10, events={"u1": [("i1", "purchase"), ("i3", "view")]})
    version = shop.add_version(items=60, filter_data=shop_data.filter_data())
    campaign = shop.deploy(version, "front", **NO_EXPLORATION)
    events.put_events(
        trackingId=shop.tracking_id, userId="u2", sessionId="s", eventList=[event("i5", kind="Purchase"), event("i7")]
    )
    events.put_users(datasetArn=users, users=[{"userId": "u3", "properties": '{"age": 70}'}])
    filter = shop.add_filter(
        "mine",
        "INCLUDE ItemID WHERE Items.GENRES IN ($GENRE) | EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN "
        '("purchase") | EXCLUDE ItemID WHERE Items.PRICE < 30 IF CurrentUser.AGE > 60',
    )
    drama = {"filterValues": {"GENRE": '"Drama"'}}
    asked = [{"userId": user, **drama} for user in ("u1", "u2", "u3", "nobody")]
    write_lines(data / "in.json", [*asked, {"userId": "u1"}])
    job = add_job(
        shop, version, (data / "in.json").as_uri(), (data / "out").as_uri(),
        filterArn=filter, numResults=60, batchInferenceJobConfig=NO_EXPLORATION,
    )  # fmt: skip
    infer(shop.settings, job.id)
    *answered, refused = answers(data / "out" / "in.json.out")
    lengths = []
    for given, line in zip(asked, answered, strict=True):
        live = recommendations.get_recommendations(campaignArn=campaign, numResults=60, filterArn=filter, **given)
        assert line["output"] == {
            "recommendedItems": [item["itemId"] for item in live["itemList"]],
            "scores": [item["score"] for item in live["itemList"]],
        }, given
        lengths.append(len(live["itemList"]))
    assert lengths == [29, 29, 15, 30]
    assert (refused["output"], "a value for GENRE is needed" in refused["error"]) == (None, True)
