"""Context, PutUsers and anonymous sessions move the very next list; what is not known of them changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from pipelines.serving.asked import Asked
from tests.runtime.conftest import Standing, module_shop
from tests.runtime.test_errors import refusal
from tests.support.runtime import Shop, Version, client, event, until
from tests.support.runtime_servers import uvicorn_runtime

USERS = {
    "type": "record",
    "name": "Users",
    "namespace": "com.amazonaws.personalize.schema",
    "version": "1.0",
    "fields": [
        {"name": "USER_ID", "type": "string"},
        {"name": "GENDER", "type": ["null", "string"], "categorical": True},
        {"name": "AGE", "type": ["null", "int"]},
        {"name": "CLUB_MEMBER", "type": ["null", "boolean"]},
    ],
}


class World:
    """A campaign and a ranking on versions that know of GENDER, AGE and DEVICE, and the group's Users dataset."""

    def __init__(self, standing: Standing, version: Version, ranked: Version, users: str) -> None:
        self.standing, self.version, self.ranked, self.users = standing, version, ranked, users

    def list(self, user: str, context: Mapping[str, str] | None = None) -> list[tuple[str, float]]:
        members = {} if context is None else {"context": context}
        answer = self.standing.recommendations.get_recommendations(
            campaignArn=self.standing.campaign, userId=user, **members
        )
        return [(item["itemId"], item["score"]) for item in answer["itemList"]]

    def expected(self, asked: Asked) -> list[tuple[str, float | None]]:
        return [(scored.item_id, scored.score) for scored in self.version.recommender.recommend(asked, 25)]

    def put_user(self, user: str, **properties: Any) -> None:
        record = {"userId": user} | ({"properties": json.dumps(properties)} if properties else {})
        self.standing.events.put_users(datasetArn=self.users, users=[record])

    def put_event(self, item: str, **members: Any) -> tuple[str, float]:
        sent = event(item)
        self.standing.events.put_events(
            trackingId=self.standing.shop.tracking_id, **{"sessionId": "s", **members}, eventList=[sent]
        )
        return item, sent["sentAt"]


@pytest.fixture(scope="module")
def world(postgres: Any, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with (
        module_shop(postgres, migrated_template, tmp_path_factory) as shop,
        uvicorn_runtime(shop.settings) as url,
    ):
        users = shop.add_dataset("USERS", USERS)
        version = shop.add_version(items=60, side=True)
        ranked = shop.add_version("rank", recipe_type="PERSONALIZED_RANKING", items=60, side=True)
        campaign, ranking = shop.deploy(version, "situations"), shop.deploy(ranked, "ranking")
        yield World(Standing(shop, url, campaign, ranking), version, ranked, users)


def test_context_moves_the_list_of_a_known_user(world: World) -> None:
    lists = [world.list("u1"), *(world.list("u1", {"DEVICE": device}) for device in ("phone", "tv"))]
    assert lists[0] != lists[1] != lists[2] != lists[0]
    assert lists[2] == world.expected(Asked("u1", context={"DEVICE": "tv"}))


def test_context_moves_the_list_of_a_user_without_data(world: World) -> None:
    popular, found = world.list("nobody"), world.list("nobody", {"DEVICE": "phone"})
    assert [item for item, _ in popular[:3]] == ["i0", "i1", "i2"]
    assert found == world.expected(Asked(context={"DEVICE": "phone"})) != popular


def test_context_moves_a_ranking(world: World) -> None:
    given = [f"i{n}" for n in range(30)]

    def ranked(**members: Any) -> list[str]:
        answer = world.standing.recommendations.get_personalized_ranking(
            campaignArn=world.standing.ranking, userId="u1", inputList=given, **members
        )
        return [item["itemId"] for item in answer["personalizedRanking"]]

    expected = world.ranked.recommender.rank(Asked("u1", context={"DEVICE": "tv"}), given)
    assert ranked(context={"DEVICE": "tv"}) == [scored.item_id for scored in expected] != ranked()


@pytest.mark.parametrize("context", [{}, {"NO_SUCH": "x"}, {"DEVICE": "fridge"}, {"device": "tv"}, {"DEVICE": ""}])
def test_what_is_unknown_of_the_context_changes_nothing(world: World, context: dict[str, str]) -> None:
    assert world.list("u1", context) == world.list("u1")


@pytest.mark.parametrize(
    ("context", "says"),
    [
        ({"DEVICE-TYPE": "tv"}, "DEVICE-TYPE"),
        ({"K" * 151: "tv"}, "context"),
        ({"DEVICE": "x" * 1001}, "context"),
        ({f"K{n}": "tv" for n in range(151)}, "context"),
    ],
)
def test_a_context_that_aws_does_not_take_is_refused(world: World, context: dict[str, str], says: str) -> None:
    ask = world.standing.recommendations.get_recommendations
    code, status, message = refusal(ask, campaignArn=world.standing.campaign, userId="u1", context=context)
    assert (code, status) == ("ValidationException", 400) and says in message


def test_150_entries_of_context_are_taken(world: World) -> None:
    context = {f"K{n}": "x" * 1000 for n in range(149)} | {"DEVICE": "tv"}
    assert world.list("u1", context) == world.expected(Asked("u1", context={"DEVICE": "tv"}))


def test_a_user_who_is_only_put_gets_what_is_popular_shaped_by_the_record(world: World) -> None:
    before = world.list("put-only")
    world.put_user("put-only", gender="m", age=30, clubMember=True)
    after = world.list("put-only")
    assert after == world.expected(Asked(user_record={"GENDER": "m", "AGE": "30"})) != before
    shaped = world.list("put-only", {"DEVICE": "tv"})
    assert shaped == world.expected(Asked(user_record={"GENDER": "m", "AGE": "30"}, context={"DEVICE": "tv"})) != after


def test_the_newest_record_counts_as_a_whole_and_beats_the_trainings(world: World) -> None:
    assert world.list("u3") == world.expected(Asked("u3"))
    world.put_user("u3", gender="f", age="70")
    world.put_user("u3", age=12)
    assert world.list("u3") == world.expected(Asked("u3", user_record={"AGE": "12"})) != world.expected(Asked("u3"))
    world.put_user("u3")
    assert world.list("u3") == world.expected(Asked("u3", user_record={}))


def test_a_record_joins_the_events(world: World) -> None:
    world.put_user("both", gender="f")
    sent = world.put_event("i42", userId="both")
    assert world.list("both") == world.expected(Asked("both", [sent], user_record={"GENDER": "f"}))


def test_a_list_moves_with_every_event_of_an_anonymous_session(world: World) -> None:
    streamed: list[tuple[str, float]] = []
    lists = [world.list("visitor")]
    for item in ("i50", "i20", "i50"):
        streamed.insert(0, world.put_event(item, sessionId="visitor"))
        lists.append(world.list("visitor"))
        assert lists[-1] == world.expected(Asked("visitor", streamed))
        assert lists[-1] != lists[-2]
    assert [item for item, _ in lists[0][:3]] == ["i0", "i1", "i2"]


def test_an_anonymous_session_has_a_context_too(world: World) -> None:
    sent = world.put_event("i31", sessionId="visitor-2")
    found = world.list("visitor-2", {"DEVICE": "phone"})
    assert found == world.expected(Asked("visitor-2", [sent], context={"DEVICE": "phone"}))


def test_records_before_the_cut_off_are_the_versions_own(shop: Shop) -> None:
    users = shop.add_dataset("USERS", USERS)
    with uvicorn_runtime(shop.settings) as url:
        events, runtime = client("personalize-events", url), client("personalize-runtime", url)
        for user in ("u1", "u3"):
            events.put_users(datasetArn=users, users=[{"userId": user, "properties": '{"gender": "f"}'}])
        ((cutoff,),) = shop.query("SELECT max(id) FROM openpersonalize.records WHERE record_id = 'u1'")
        version = shop.add_version(items=60, side=True, record_cutoff=cutoff)
        campaign = shop.deploy(version, "cutoff")
        for user, record in (("u1", None), ("u3", {"GENDER": "f"})):
            answer = runtime.get_recommendations(campaignArn=campaign, userId=user)
            expected = version.recommender.recommend(Asked(user, user_record=record), 25)
            assert [item["itemId"] for item in answer["itemList"]] == [scored.item_id for scored in expected]


def test_a_users_dataset_made_later_or_anew_is_found(shop: Shop) -> None:
    version = shop.add_version(items=60, side=True)
    expected = [s.item_id for s in version.recommender.recommend(Asked(user_record={"GENDER": "f"}), 25)]
    with uvicorn_runtime(shop.settings) as url:
        events, runtime = client("personalize-events", url), client("personalize-runtime", url)
        campaign = shop.deploy(version, "later")

        def listed() -> list[str]:
            answer = runtime.get_recommendations(campaignArn=campaign, userId="new")
            return [item["itemId"] for item in answer["itemList"]]

        assert listed() != expected
        users = shop.add_dataset("USERS", USERS)
        events.put_users(datasetArn=users, users=[{"userId": "new", "properties": '{"gender": "f"}'}])
        until("the dataset to be followed", lambda: listed() == expected, 2)
        shop.query("DELETE FROM openpersonalize.resources WHERE arn = %s RETURNING 1", users)
        until("the dataset to go", lambda: listed() != expected, 2)
