"""Items that are put and imported: metadata columns of answers, and what filters read of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

import bento.items
from pipelines.batch import processes
from pipelines.batch.inference import infer
from pipelines.batch.items import items_of
from pipelines.batch.job import Counted, Job, run
from pipelines.serving.local import locked
from pipelines.settings import Settings
from pipelines.versions.item_tables import build
from tests.runtime.conftest import Standing, module_shop
from tests.runtime.test_errors import INVALID, refusal
from tests.support.batch import add_job, answers, write_lines
from tests.support.filtered_shop import ShopData
from tests.support.items import SCHEMA, bring, put
from tests.support.runtime import Shop, Version, client, until
from tests.support.runtime_servers import uvicorn_runtime

ITEMS = 12
DATA = ShopData(items=[{"GENRES": "Drama", "STOCK": "no", "PRICE": 1.0} for _ in range(ITEMS)], users=[None] * 10)
IN_STOCK = 'INCLUDE ItemID WHERE Items.STOCK IN ("yes")'
WHOLE = {
    "genres": "Action|Comedy",
    "price": 4.3,
    "year": "1999",
    "creationTimestamp": 1_700_000_000,
    "blurb": "A | in a text.",
    "onSale": True,
}


@pytest.fixture(autouse=True, scope="module")
def _often() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bento.items, "POLL_SECONDS", 0.05)
        patch.setattr(bento.items, "SHARE", 1.0)
        yield


@dataclass(frozen=True)
class World:
    standing: Standing
    items: str
    related: str
    version: Version

    def recommend(self, **members: Any) -> list[dict[str, Any]]:
        call = {"campaignArn": self.standing.campaign, "userId": "u1", "numResults": ITEMS, **members}
        found: list[dict[str, Any]] = self.standing.recommendations.get_recommendations(**call)["itemList"]
        return found

    def metadata(self, item: str, *columns: str) -> dict[str, str] | None:
        """What an answer says of one item."""
        answered = self.recommend(metadataColumns={"ITEMS": list(columns)})
        return next(one.get("metadata") for one in answered if one["itemId"] == item)

    def put(self, **records: dict[str, Any]) -> None:
        put(self.standing.events, self.items, records)


@pytest.fixture(scope="module")
def world(postgres: Any, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with (
        module_shop(postgres, migrated_template, tmp_path_factory) as shop,
        uvicorn_runtime(shop.settings) as url,
    ):
        items = shop.add_dataset("ITEMS", SCHEMA)
        put(client("personalize-events", url), items, {"i0": WHOLE, "i1": {"genres": "", "blurb": "x" * 20_001}})
        data: dict[str, Any] = {"items": ITEMS, "filter_data": DATA.filter_data()}
        shows = {"enableMetadataWithRecommendations": True}
        version = shop.add_version(**data)
        campaign = shop.deploy(version, "recommend", **shows)
        rank = shop.add_version("rank", recipe_type="PERSONALIZED_RANKING", **data)
        ranking = shop.deploy(rank, "rank", **shows)
        related = shop.add_version("related", recipe_type="RELATED_ITEMS", kind="neighbours", **data)
        world = World(Standing(shop, url, campaign, ranking), items, shop.deploy(related, "related"), version)
        until("the items are read", lambda: answered(lambda: world.metadata("i0", "YEAR")), 120)
        yield world


def test_metadata_are_texts_under_the_callers_names(world: World) -> None:
    columns = ("Genres", "PRICE", "YEAR", "CREATION_TIMESTAMP", "blurb", "ON_SALE", "ITEM_ID", "BRAND")
    assert world.metadata("i0", *columns) == {
        "Genres": "Action|Comedy",
        "PRICE": "4.3",
        "YEAR": "1999",
        "CREATION_TIMESTAMP": "1700000000",
        "blurb": "A | in a text.",
        "ON_SALE": "true",
        "ITEM_ID": "i0",
    }


def test_a_value_has_at_most_20000_characters_and_an_empty_one_is_there(world: World) -> None:
    assert world.metadata("i1", "BLURB", "GENRES") == {"BLURB": "x" * 20_000, "GENRES": ""}


def test_an_item_without_a_row_has_no_metadata(world: World) -> None:
    assert world.metadata("i2", "GENRES") is None


def test_what_is_put_is_in_the_next_answer_and_replaces_the_old_record_as_a_whole(world: World) -> None:
    world.put(i3={"genres": "Horror", "price": 1})
    assert world.metadata("i3", "GENRES", "PRICE", "YEAR") == {"GENRES": "Horror", "PRICE": "1.0"}
    world.put(i3={"year": 7})
    assert world.metadata("i3", "GENRES", "PRICE", "YEAR") == {"YEAR": "7"}


def test_rankings_and_promoted_items_have_metadata_too(world: World) -> None:
    standing = world.standing
    ranked = standing.recommendations.get_personalized_ranking(
        campaignArn=standing.ranking, userId="u1", inputList=["i2", "i0"], metadataColumns={"ITEMS": ["YEAR"]}
    )["personalizedRanking"]
    assert {one["itemId"]: one.get("metadata") for one in ranked} == {"i0": {"YEAR": "1999"}, "i2": None}
    new = standing.shop.add_filter("new", "INCLUDE ItemID WHERE Items.ITEM_ID = 'i0'")
    promotion = {"name": "p", "percentPromotedItems": 100, "filterArn": new}
    [promoted] = [
        one
        for one in world.recommend(promotions=[promotion], metadataColumns={"ITEMS": ["YEAR"]})
        if "promotionName" in one
    ]
    assert promoted["metadata"] == {"YEAR": "1999"}


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"metadataColumns": {"USERS": ["AGE"]}}, "the key must be ITEMS, not USERS"),
        ({"metadataColumns": {"ITEMS": ["GENRES", "COLOUR"]}}, "no column 'COLOUR'; it has GENRES, BRAND, PRICE"),
        ({"metadataColumns": {"ITEMS": ["GENRES"] * 11}}, "at most 10 columns, not 11"),
        ({"metadataColumns": {"ITEMS": ["GENRES"]}, "numResults": 51}, "numResults must be at most 50 with metadata"),
    ],
)
def test_metadata_columns_that_cannot_be_shown_are_refused(world: World, members: dict[str, Any], said: str) -> None:
    answer = refusal(lambda: world.recommend(**members))
    assert answer[:2] == (INVALID, 400) and said in answer[2]


def test_a_ranking_with_metadata_has_50_items_at_most(world: World) -> None:
    call = {"campaignArn": world.standing.ranking, "userId": "u1", "inputList": ["i1"] * 51}
    answer = refusal(
        world.standing.recommendations.get_personalized_ranking, **call, metadataColumns={"ITEMS": ["YEAR"]}
    )
    assert answer[:2] == (INVALID, 400) and "1 to 50 item ids with metadataColumns, not 51" in answer[2]


def test_metadata_are_for_campaigns_that_have_them_enabled(world: World) -> None:
    call = {"campaignArn": world.related, "itemId": "i1", "metadataColumns": {"ITEMS": ["YEAR"]}}
    answer = refusal(world.standing.recommendations.get_recommendations, **call)
    assert answer[:2] == (INVALID, 400) and "enableMetadataWithRecommendations" in answer[2]


# Filters ------------------------------------------------------------------------------------------------


def test_items_that_are_put_reach_filters_promotions_and_conditions_on_the_current_item(world: World) -> None:
    shop = world.standing.shop
    arn = shop.add_filter("in-stock", IN_STOCK)
    assert world.recommend(filterArn=arn) == []
    world.put(i5={"stock": "yes", "price": 5}, i6={"stock": "yes", "price": 6}, new={"stock": "yes"})
    until("filters read the records", lambda: ids(world.recommend(filterArn=arn)) == {"i5", "i6"})
    promotion = {"name": "p", "percentPromotedItems": 50, "filterArn": arn}
    promoted = {one["itemId"] for one in world.recommend(promotions=[promotion]) if "promotionName" in one}
    assert promoted == {"i5", "i6"}
    dearer = shop.add_filter("dearer", "INCLUDE ItemID WHERE Items.PRICE > CurrentItem.PRICE")
    call = {"campaignArn": world.related, "itemId": "i5", "filterArn": dearer}
    assert ids(world.standing.recommendations.get_recommendations(**call)["itemList"]) == {"i6"}
    # Of an item that the version does not know a ranking asks the record.
    call = {
        "campaignArn": world.standing.ranking,
        "userId": "u1",
        "filterArn": arn,
        "inputList": ["new", "i1", "i5", "x"],
    }
    ranked = world.standing.recommendations.get_personalized_ranking(**call)["personalizedRanking"]
    assert [one["itemId"] for one in ranked] == ["i5", "new"]
    world.put(i5={"stock": "no"})
    until("the newest record counts", lambda: ids(world.recommend(filterArn=arn)) == {"i6"})


def test_a_batch_job_reads_what_was_put_until_it_began_also_when_it_goes_on_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "MOST", 1)
    shop = world.standing.shop
    cheap = shop.add_filter("cheap", "INCLUDE ItemID WHERE Items.PRICE < 0")
    world.put(i7={"price": -1})
    data = shop.settings.home / "data"
    write_lines(data / "in.json", [{"userId": "u1"}])
    job = add_job(shop, world.version, (data / "in.json").as_uri(), (data / "out").as_uri(), filterArn=cheap)

    def killed(settings: Settings, begun: Job) -> Counted:
        assert items_of(settings, begun)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        run(shop.settings, job.id, killed)
    world.put(i8={"price": -1})
    infer(shop.settings, job.id)
    assert answers(data / "out" / "in.json.out")[0]["output"]["recommendedItems"] == ["i7"]


def test_a_dataset_with_another_import_or_many_newer_records_is_read_anew(
    shop: Shop, url: str, recommendations: Any, events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = shop.add_dataset("ITEMS", SCHEMA)
    put(events, items, {"i4": {"stock": "yes"}})
    campaign = shop.deploy(shop.add_version(items=ITEMS, filter_data=DATA.filter_data()), "recommend")
    sold_out = shop.add_filter("sold-out", 'INCLUDE ItemID WHERE Items.STOCK IN ("no")')

    def answer() -> set[str]:
        return ids(
            recommendations.get_recommendations(campaignArn=campaign, userId="u1", filterArn=sold_out)["itemList"]
        )

    until("the record is read", lambda: len(answer()) == ITEMS - 1)
    # An import of nothing: what was put stays, the others have no row any more.
    internal = "UPDATE openpersonalize.resources SET internal = %s WHERE arn = %s RETURNING id"
    [[dataset]] = shop.query("SELECT id FROM openpersonalize.resources WHERE arn = %s", items)
    with locked(shop.settings, f"items-{dataset}"):  # so that the runtime does not start a process for it
        shop.query(internal, '{"imported": "job1"}', items)
        build(shop.settings, dataset)
    until("the import is read", lambda: answer() == set(), 120)
    put(events, items, {"i5": {"stock": "no"}})
    until("a later record is read", lambda: answer() == {"i5"})
    # With none allowed, what is newer can only come with the whole dataset.
    with locked(shop.settings, f"items-{dataset}"):
        monkeypatch.setattr(bento.items, "MOST_NEWER", 0)
        put(events, items, {"i6": {"stock": "no"}, "i5": {"stock": "yes"}})
        build(shop.settings, dataset)
    until("the dataset is read", lambda: answer() == {"i6"}, 120)


@pytest.mark.soak  # its short sister is above: a snapshot takes Git and DVC
def test_an_import_reaches_filters_and_metadata_and_takes_away_what_it_does_not_have(
    shop: Shop, url: str, recommendations: Any, events: Any
) -> None:
    items = shop.add_dataset("ITEMS", SCHEMA)
    put(events, items, {"i4": {"stock": "yes"}, "i5": {"stock": "yes", "blurb": "old"}})
    version = shop.add_version(items=ITEMS, filter_data=DATA.filter_data())
    campaign = shop.deploy(version, "recommend", enableMetadataWithRecommendations=True)
    stock = shop.add_filter("in-stock", IN_STOCK)
    sold_out = shop.add_filter("sold-out", 'INCLUDE ItemID WHERE Items.STOCK IN ("no")')
    bring(shop, items, {"i1": {"STOCK": "yes", "BLURB": "one"}, "i5": {"STOCK": "no", "BLURB": "five"}}, "job1")

    def answer(filter: str) -> dict[str, str]:
        found = recommendations.get_recommendations(
            campaignArn=campaign, userId="u1", filterArn=filter, metadataColumns={"ITEMS": ["BLURB"]}
        )["itemList"]
        return {one["itemId"]: one.get("metadata", {}).get("BLURB", "") for one in found}

    # i5 was put before the import, which wins; i4 is in no import and stays; the others have no row any more.
    imported = {"i1": "one", "i4": ""}
    until("the import is read", lambda: answered(lambda: answer(stock)) == imported, 120)
    assert answer(sold_out) == {"i5": "five"}
    put(events, items, {"i5": {"stock": "yes", "blurb": "new"}})
    until("a later record wins", lambda: answer(stock) == {"i1": "one", "i4": "", "i5": "new"})


def answered(call: Callable[[], Any]) -> Any:
    """What the call answers; None while a busy machine is still reading the items."""
    try:
        return call()
    except ClientError as failure:
        assert failure.response["Error"]["Code"] == "ServiceUnavailableException"
        return None


def ids(items: list[dict[str, Any]]) -> set[str]:
    return {one["itemId"] for one in items}
