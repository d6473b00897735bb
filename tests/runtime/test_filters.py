"""Filters of requests: full pages of what may be answered, scores as without them, live events and users at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pipelines.registry import store
from pipelines.serving.artefact import Artefact
from tests.runtime.conftest import Standing, module_shop
from tests.runtime.test_errors import INVALID, NOT_FOUND, refusal
from tests.support.filtered_shop import ShopData
from tests.support.filters import DATASETS, VALID
from tests.support.runtime import event, until
from tests.support.runtime_servers import uvicorn_runtime

ITEMS = 60
DATA = ShopData(
    items=[
        {"GENRES": ("Comedy", "Drama", "Comedy|Drama", "Horror")[n % 4], "PRICE": float(n), "BRAND": "AZ"[n % 2]}
        for n in range(ITEMS)
    ],
    users=[{"AGE": 10 + 10 * n, "TIER": "gold"} for n in range(10)],
    events={"u1": [("i1", "purchase"), ("i2", "view")]},
)


class World:
    """Campaigns `recommend`, `rank`, `related`, `popular` and `old`, which was made before there were filters."""

    def __init__(self, standing: Standing, campaigns: dict[str, str], users: str) -> None:
        self.standing, self.campaigns, self.users = standing, campaigns, users

    def filter(self, name: str, text: str) -> str:
        """The ARN of a filter, made if it is not there."""
        arn = self.standing.shop.arn("Filter", name)
        with self.standing.shop.engine.connect() as conn:
            there = store.get(conn, arn=arn)
        return arn if there is not None else self.standing.shop.add_filter(name, text)

    def answer(self, campaign: str = "recommend", **members: Any) -> list[dict[str, Any]]:
        if campaign == "rank":
            method, key = self.standing.recommendations.get_personalized_ranking, "personalizedRanking"
        else:
            method, key = self.standing.recommendations.get_recommendations, "itemList"
        found: list[dict[str, Any]] = method(campaignArn=self.campaigns[campaign], **members)[key]
        return found

    def ids(self, campaign: str = "recommend", **members: Any) -> list[str]:
        return [item["itemId"] for item in self.answer(campaign, **members)]

    def refused(self, campaign: str = "recommend", **members: Any) -> tuple[str, int, str]:
        return refusal(
            self.standing.recommendations.get_recommendations, campaignArn=self.campaigns[campaign], **members
        )

    def put(self, user: str, *items: str, kind: str, at: float = 1_700_000_000) -> None:
        self.standing.events.put_events(
            trackingId=self.standing.shop.tracking_id,
            userId=user,
            sessionId="s",
            eventList=[event(item, kind=kind, sent_at=at + number) for number, item in enumerate(items)],
        )


@pytest.fixture(scope="module")
def world(postgres: Any, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with (
        module_shop(postgres, migrated_template, tmp_path_factory) as shop,
        uvicorn_runtime(shop.settings) as url,
    ):
        fields = [{"name": one.name, "type": ["null", one.avro]} for one in DATASETS["USERS"]]
        schema = {"type": "record", "name": "Users", "namespace": "n", "fields": fields}
        schema["fields"][0]["type"] = "string"  # type: ignore[index]
        users = shop.add_dataset("USERS", schema)
        data = {"items": ITEMS, "filter_data": DATA.filter_data(), "created": 1_600_000_000 - 86_400}
        versions = {
            "recommend": shop.add_version("recommend", **data),
            "rank": shop.add_version("rank", recipe_type="PERSONALIZED_RANKING", **data),
            "related": shop.add_version("related", recipe_type="RELATED_ITEMS", kind="neighbours", **data),
            "popular": shop.add_version("popular", kind="popular", **data),
            "old": shop.add_version("old", items=ITEMS),
        }
        campaigns = {}
        for name, version in versions.items():
            config = {"itemExplorationConfig": {"explorationWeight": "0"}} if name == "recommend" else {}
            campaigns[name] = shop.deploy(version, name, **config)
        campaigns["exploring"] = shop.deploy(versions["recommend"], "exploring")
        yield World(Standing(shop, url, campaigns["recommend"], campaigns["rank"]), campaigns, users)


def drama(item: str) -> bool:
    return int(item[1:]) % 4 in (1, 2)


def test_a_page_is_full_and_scores_are_those_of_the_whole_catalogue(world: World) -> None:
    arn = world.filter("drama", 'INCLUDE ItemID WHERE Items.GENRES IN ("Drama")')
    everything = world.answer(userId="u1", numResults=ITEMS)
    assert round(sum(item["score"] for item in everything), 5) == 1
    assert (
        world.answer(userId="u1", numResults=25, filterArn=arn)
        == [item for item in everything if drama(item["itemId"])][:25]
    )
    assert len(world.answer(userId="u1", numResults=50, filterArn=arn)) == ITEMS / 2


def test_exploration_goes_on_within_what_may_be_answered(world: World) -> None:
    arn = world.filter("drama", 'INCLUDE ItemID WHERE Items.GENRES IN ("Drama")')
    found = world.answer("exploring", userId="u1", numResults=25, filterArn=arn)
    assert len(found) == 25
    assert all(drama(item["itemId"]) for item in found)
    scores = [item["score"] for item in found]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) < 1


@pytest.mark.parametrize("campaign", ["related", "popular"])
def test_lists_without_scores_are_filtered_too(world: World, campaign: str) -> None:
    arn = world.filter("cheap", VALID[12])
    found = world.ids(campaign, itemId="i3", numResults=5, filterArn=arn, filterValues={"MAX": "10"})
    everything = world.ids(campaign, itemId="i3", numResults=ITEMS)
    assert found == [item for item in everything if int(item[1:]) <= 10][:5]


def test_a_related_item_is_cheaper_than_the_current_one(world: World) -> None:
    found = world.ids("related", itemId="i4", filterArn=world.filter("cheaper", VALID[29]))
    assert sorted(found) == ["i0", "i1", "i2", "i3"]


def test_a_ranking_loses_what_is_filtered_and_its_scores_sum_to_one(world: World) -> None:
    given = {"userId": "u1", "inputList": ["i1", "i2", "unknown", "i3", "i5"]}
    drama_only = world.answer(
        "rank", **given, filterArn=world.filter("drama", 'INCLUDE ItemID WHERE Items.GENRES IN ("Drama")')
    )
    assert sorted(item["itemId"] for item in drama_only) == ["i1", "i2", "i5"]
    assert round(sum(item["score"] for item in drama_only), 6) == 1
    no_horror = world.answer("rank", **given, filterArn=world.filter("no-a", 'EXCLUDE ItemID WHERE Items.BRAND = "A"'))
    assert [item["itemId"] for item in no_horror][-1] == "unknown"
    assert {item["itemId"] for item in no_horror} == {"i1", "i3", "i5", "unknown"}
    bought = world.filter("not-bought", VALID[1])
    assert "i1" not in world.ids("rank", **given, filterArn=bought)


def test_an_event_counts_for_the_next_request(world: World) -> None:
    arn = world.filter("not-bought", VALID[1])
    first = world.ids(userId="u5", numResults=3, filterArn=arn)
    world.put("u5", first[0], kind="PurChase")
    world.put("u5", first[1], kind="view")
    found = world.ids(userId="u5", numResults=ITEMS, filterArn=arn)
    assert first[0] not in found
    assert first[1] in found
    assert len(found) == ITEMS - 1
    viewed = world.filter("viewed", VALID[3])
    assert world.ids(userId="u5", filterArn=viewed) == [first[1]]
    assert world.ids("popular", userId="u5", filterArn=viewed) == [first[1]]
    assert world.ids(userId="u1", filterArn=viewed) == ["i2"]


def test_of_each_type_the_newest_hundred_count(world: World) -> None:
    """One early purchase is not pushed out by views, but by a hundred purchases."""
    seen = world.filter("bought", VALID[4])
    world.put("u6", "i7", kind="purchase")
    for batch in range(1, 12):
        world.put("u6", *["i8"] * 10, kind="view", at=1_700_000_000 + 10 * batch)
    assert world.ids(userId="u6", filterArn=seen) == ["i7"]
    for batch in range(1, 11):
        world.put("u6", *["i9"] * 10, kind="purchase", at=1_700_000_000 + 10 * batch)
    assert world.ids(userId="u6", filterArn=seen) == ["i9"]


def test_what_put_users_says_counts_for_the_next_request(world: World) -> None:
    arn = world.filter("minors", VALID[21])

    def sees_horror(campaign: str = "recommend") -> bool:
        return "i3" in world.ids(campaign, userId="u4", numResults=ITEMS, filterArn=arn)

    assert sees_horror() and sees_horror("popular")
    world.standing.events.put_users(
        datasetArn=world.users, users=[{"userId": "u4", "properties": json.dumps({"age": 12})}]
    )
    assert not sees_horror() and not sees_horror("popular")


def test_values_of_a_request(world: World) -> None:
    arn = world.filter("genres", VALID[11])
    found = world.ids(userId="u1", numResults=ITEMS, filterArn=arn, filterValues={"GENRES": '"Horror","Comedy"'})
    assert {int(item[1:]) % 4 for item in found} == {0, 2, 3}


@pytest.mark.parametrize(
    ("campaign", "name", "text", "members", "says"),
    [
        ("recommend", "genres", VALID[11], {}, "a value for GENRES is needed"),
        ("recommend", "genres", VALID[11], {"filterValues": {"GENRES": '"a'}}, "GENRES is '\"a'"),
        ("recommend", "genres", VALID[11], {"filterValues": {"GENRES": '"a"', "X": "1"}}, "no placeholder $X"),
        ("recommend", "cheap", VALID[12], {"filterValues": {"MAX": '"dear"'}}, "MAX: Items.PRICE is a number"),
        ("recommend", "cheap", VALID[12], {"filterValues": {"MAX": "1,2"}}, "MAX has 2 values; <= takes one"),
        ("recommend", "cheaper", VALID[29], {}, "the filter has CurrentItem"),
        ("recommend", "segment", VALID[32], {"filterValues": {"TIER": '"gold"'}}, "the filter is not for items"),
        ("old", "not-bought", VALID[1], {}, "before there were filters; train anew"),
    ],
)
def test_refused(world: World, campaign: str, name: str, text: str, members: dict[str, Any], says: str) -> None:
    code, status, message = world.refused(campaign, userId="u1", filterArn=world.filter(name, text), **members)
    assert (code, status) == (INVALID, 400)
    assert says in message


def test_a_filter_about_the_user_needs_one(world: World) -> None:
    for name, text in (("minors", VALID[21]), ("not-bought", VALID[1])):
        code, status, message = world.refused("popular", filterArn=world.filter(name, text))
        assert (code, status, "userId is required" in message) == (INVALID, 400, True)


def test_a_filter_must_be_there_active_and_of_the_group(world: World) -> None:
    shop = world.standing.shop
    missing = shop.arn("Filter", "missing")
    assert world.refused(userId="u1", filterArn=missing) == (NOT_FOUND, 404, f"Filter {missing} does not exist.")
    pending = shop.add_filter("pending", VALID[1], status="CREATE PENDING")
    assert (
        world.refused(userId="u1", filterArn=pending)[2]
        == f"filterArn: {pending} is CREATE PENDING; it must be ACTIVE."
    )
    shop.set_status(pending, "ACTIVE")
    assert world.ids(userId="u1", filterArn=pending)
    with shop.engine.begin() as conn:
        other = store.insert(
            conn, kind="DatasetGroup", arn=shop.arn("DatasetGroup", "b"), name="b", status="ACTIVE", doc={}
        )
        foreign = shop.add_filter("foreign", VALID[1])
    shop.query("UPDATE openpersonalize.resources SET group_id = %s WHERE arn = %s RETURNING 1", other.id, foreign)
    assert "belongs to another dataset group" in world.refused(userId="u1", filterArn=foreign)[2]
    shop.set_status(pending, "DELETE PENDING")
    until("the deletion is seen", lambda: _gone(world, pending), 5)


def _gone(world: World, arn: str) -> bool:
    try:
        world.ids(userId="u1", filterArn=arn)
    except Exception as failure:  # noqa: BLE001
        return "does not exist" in str(failure)
    return False


def test_a_swapped_campaign_is_filtered_by_its_new_version(world: World) -> None:
    shop = world.standing.shop
    data = ShopData(items=[{"BRAND": "A"}] * 5, users=DATA.users)
    arn = world.filter("brand-a", 'INCLUDE ItemID WHERE Items.BRAND IN ("A")')
    version = shop.add_version("swapped", items=ITEMS, filter_data=DATA.filter_data())
    campaign = shop.deploy(version, "swapped")
    world.campaigns["swapped"] = campaign
    assert len(world.ids("swapped", userId="u1", numResults=ITEMS, filterArn=arn)) == ITEMS / 2
    shop.want(campaign, shop.add_version("swapped", items=5, filter_data=data.filter_data()))
    shop.activate(campaign)
    assert len(world.ids("swapped", userId="u1", numResults=ITEMS, filterArn=arn)) == 5


def test_what_filters_read_survives_the_way_through_files(tmp_path: Any) -> None:
    artefact = DATA.artefact(tmp_path / "a")
    assert isinstance(artefact, Artefact)
    assert artefact.filter_data is not None
    wanted = DATA.filter_data()
    assert artefact.filter_data.items.by_name.keys() == wanted.items.by_name.keys()
    assert artefact.filter_data.touched.types == ("", "purchase", "view")


# Promotions -----------------------------------------------------------------------------------------------


def promotion(world: World, percent: int, text: str, **more: Any) -> list[dict[str, Any]]:
    return [{"name": "new", "percentPromotedItems": percent, "filterArn": world.filter("promoted", text), **more}]


def test_a_promotion_has_its_share_its_name_and_its_own_values(world: World) -> None:
    cheap = world.filter("cheap", VALID[12])
    wanted = promotion(world, 40, VALID[11], filterValues={"GENRES": '"Horror"'})
    for campaign in ("recommend", "exploring", "popular", "related"):
        found = world.answer(
            campaign,
            userId="u1",
            itemId="i4",
            numResults=10,
            promotions=wanted,
            filterArn=cheap,
            filterValues={"MAX": "20"},
        )
        promoted = [item["itemId"] for item in found if item.get("promotionName") == "new"]
        assert [int(item[1:]) % 4 for item in promoted] == [3, 3, 3, 3]
        assert all(int(item["itemId"][1:]) <= 20 for item in found if "promotionName" not in item)
        assert len({item["itemId"] for item in found}) == 10


def test_a_promotion_needs_its_members_and_values(world: World) -> None:
    whole = promotion(world, 40, VALID[11], filterValues={"GENRES": '"Horror"'})[0]
    for member in ("name", "percentPromotedItems", "filterArn"):
        given = [{key: value for key, value in whole.items() if key != member}]
        assert world.refused(userId="u1", promotions=given)[2] == f"promotions: {member} is required."
    given = [{key: value for key, value in whole.items() if key != "filterValues"}]
    assert "a value for GENRES is needed" in world.refused(userId="u1", promotions=given)[2]
