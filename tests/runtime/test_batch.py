"""A batch inference job answers what the runtime answers: the same items and scores, with all that was streamed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.batch import processes
from pipelines.batch.job import infer
from tests.runtime.test_records import schema
from tests.support.batch import NO_EXPLORATION, add_job, answers, write_lines
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
