"""What each example of spec/filters.md section 8 lets through, on eight items and four users."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from pipelines.aws.errors import InvalidInput
from pipelines.filters.values import read_values
from pipelines.serving.artefact import Artefact
from pipelines.serving.filtering import FilterAsked, Filtering
from tests.support import filtered_shop
from tests.support.artefacts import make_artefact
from tests.support.filtered_shop import Asked, ShopData
from tests.support.filters import VALID, checked

NOW = 1_700_000_000
SHOP = ShopData(
    items=(
        {"GENRES": "Comedy", "BRAND": "Acme", "PRICE": 9.99, "YEAR": 1999, "STOCK": "yes", "CREATION_TIMESTAMP": NOW - 1, "ON_SALE": True, "RATING": 4.3},
        {"GENRES": "Comedy|Drama", "BRAND": "Zenith", "PRICE": 20.0, "YEAR": 1975, "STOCK": "no", "CREATION_TIMESTAMP": 1_500_000_000, "RATING": 2.0},
        {"GENRES": "Drama", "BRAND": "Luxe", "PRICE": 120.0, "YEAR": 1970, "STOCK": "yes", "CREATION_TIMESTAMP": 1_650_000_000, "ON_SALE": False},
        {"GENRES": "Horror", "PRICE": 5.0, "YEAR": 1980, "CREATION_TIMESTAMP": 1_690_000_000, "ON_SALE": True},
        {"GENRES": "Horror|Comedy", "BRAND": "Acme", "PRICE": 101.0, "STOCK": "yes", "CREATION_TIMESTAMP": NOW - 86_400 * 29, "RATING": 2.5},
        {"PRICE": 0.0, "YEAR": 2020, "STOCK": "no", "CREATION_TIMESTAMP": NOW - 86_400 * 31},
        None,
        {"GENRES": "comedy", "BRAND": "Luxe", "PRICE": 20.0, "YEAR": 1999, "STOCK": "yes", "CREATION_TIMESTAMP": NOW},
    ),
    users=(
        {"AGE": 17, "TIER": "gold", "COUNTRY": "CH"},
        {"AGE": 40, "TIER": "none", "COUNTRY": "DE"},
        {"TIER": "platinum"},
        None,
    ),
    events={"u0": [("i0", "view"), ("i1", "Purchase"), ("i6", "cart"), ("i2", "view")], "u3": [("i5", "purchase"), ("i4", None)]},
    streamed={"u0": [("i3", "PURCHASE"), ("gone", "view")], "u2": [("i7", "view")]},
)  # fmt: skip

WANTED: Mapping[int, tuple[Asked, str]] = {
    1: (Asked("u0"), "0 2 4 5 6 7"),
    2: (Asked("u0"), "4 5 7"),
    3: (Asked("u0"), "0 2 6"),
    4: (Asked("u0"), "1 3"),
    5: (Asked("u0", values={"SEEN": ["view", "Cart"]}), "1 3 4 5 7"),
    6: (Asked(), "0 1 4"),
    7: (Asked(), "0 1 2 4"),
    8: (Asked(), "1"),
    9: (Asked(), "0 2 3 4 6 7"),
    10: (Asked(), "2 3 5 7"),
    11: (Asked(values={"GENRES": ["Horror", "Drama"]}), "1 2 3 4"),
    12: (Asked(values={"MAX": ["9.99"]}), "0 3 5"),
    13: (Asked(values={"LOW": ["5"], "HIGH": ["101"]}), "0 1 3 7"),
    14: (Asked(), "1 2"),
    15: (Asked(values={"SINCE": ["1690000000"]}), "0 4 5 7"),
    16: (Asked(), "0 2 3 4 5 6 7"),
    17: (Asked(), "0 2 3 4 5 6 7"),
    18: (Asked(), "0 7"),
    19: (Asked(), "1 2 3 5"),
    20: (Asked(), "0 1 5 6 7"),
    21: (Asked("u0"), "0 1 2 5 6 7"),
    22: (Asked("u0"), "2 7"),
    23: (Asked("u0", values={"G": ["Comedy"], "A": ["17"]}), "2 3 5 6 7"),
    24: (Asked("u0", values={"G": ["Comedy", "Drama"]}), "4"),
    25: (Asked("u0"), "0 2 4 7"),
    26: (Asked("u0"), "0 4 6"),
    27: (Asked("u0"), "0 2 4 6 7"),
    28: (Asked(values={"MAX": ["100"]}), "0 1 3 5 6 7"),
    29: (Asked(item="i1"), "0 3 5"),
    30: (Asked(item="i0"), "1 4"),
    31: (Asked(item="i0"), "1 2 3 5 6 7"),
}


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    return SHOP.artefact(tmp_path_factory.mktemp("version") / "a")


@pytest.fixture(scope="module")
def related(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    return SHOP.artefact(tmp_path_factory.mktemp("version") / "b", kind="neighbours", recipe_type="RELATED_ITEMS")


def passes(artefact: Artefact, text: str, asked: Asked) -> str:
    """Numbers of the items that a filter lets through; the slow evaluator agrees."""
    filter = checked(text)
    given = {name: ",".join(f'"{value}"' for value in values) for name, values in asked.values.items()}
    values = read_values(filter, given)
    found = Filtering(artefact, filter).allowed(
        FilterAsked(values, asked.user, asked.item, asked.now, SHOP.streamed.get(asked.user, ()))
    )
    ids = artefact.items.ids(found.nonzero()[0].tolist())
    assert set(ids) == filtered_shop.allowed(SHOP, filter, asked)
    return " ".join(identifier[1:] for identifier in ids)


@pytest.mark.parametrize("number", [number for number in WANTED if number < 29])
def test_example(artefact: Artefact, number: int) -> None:
    asked, wanted = WANTED[number]
    assert passes(artefact, VALID[number], asked) == wanted


@pytest.mark.parametrize("number", [29, 30, 31])
def test_example_around_an_item(related: Artefact, number: int) -> None:
    asked, wanted = WANTED[number]
    assert passes(related, VALID[number], asked) == wanted


@pytest.mark.parametrize("number", range(32, 39))
def test_example_for_users_or_actions_is_not_for_items(artefact: Artefact, number: int) -> None:
    with pytest.raises(InvalidInput, match="the filter is not for items"):
        Filtering(artefact, checked(VALID[number]))


@pytest.mark.parametrize("number", [29, 30, 31])
def test_the_current_item_is_one_of_related_items_only(artefact: Artefact, number: int) -> None:
    with pytest.raises(InvalidInput, match=r"has CurrentItem, and .* of type USER_PERSONALIZATION"):
        Filtering(artefact, checked(VALID[number]))


@pytest.mark.parametrize(
    ("text", "asked", "wanted"),
    [
        (VALID[5], Asked("u0"), "0 1 2 3 4 5 6 7"),
        (VALID[5], Asked("u0", values={"SEEN": ["*"]}), "4 5 7"),
        (VALID[2], Asked("u3"), "0 1 2 3 6 7"),
        (VALID[1], Asked("u9"), "0 1 2 3 4 5 6 7"),
        (VALID[3], Asked("u2"), "7"),
        (VALID[21], Asked("u1"), "0 1 2 3 4 5 6 7"),
        (VALID[21], Asked("u2"), "0 1 2 3 4 5 6 7"),
        (VALID[21], Asked("u3"), "0 1 2 3 4 5 6 7"),
        (VALID[22], Asked("u1"), "0 1 2 3 4 5 6 7"),
        (VALID[22], Asked("u2"), "2 7"),
        (VALID[23], Asked("u0", values={"A": ["17"]}), "0 1 2 3 4 5 6 7"),
        (VALID[28], Asked(), "0 1 2 3 4 5 6 7"),
        (VALID[28], Asked(values={"BAD": ["Horror"], "MAX": ["100"]}), "0 1 5 6 7"),
        ("INCLUDE ItemID WHERE Items.RATING = 4.3", Asked(), "0"),
        ("INCLUDE ItemID WHERE Items.RATING IN (4.3, '2')", Asked(), "0 1"),
        ("INCLUDE ItemID WHERE Items.BRAND != 'Acme'", Asked(), "1 2 7"),
        ("INCLUDE ItemID WHERE Items.ON_SALE IS TRUE", Asked(), "0 3"),
        ("INCLUDE ItemID WHERE Items.ON_SALE IS FALSE", Asked(), "2"),
        ("INCLUDE ItemID WHERE Items.ITEM_ID IN ('i2', 'i6', 'none')", Asked(), "2"),
        ("INCLUDE ItemID WHERE Items.CREATION_TIMESTAMP > NOW() - 30 DAYS", Asked(now=NOW), "0 4 7"),
        ("INCLUDE ItemID WHERE Items.CREATION_TIMESTAMP >= NOW()", Asked(now=NOW), "7"),
        ("INCLUDE ItemID WHERE (Items.PRICE < 6 OR Items.BRAND = 'Luxe') AND Items.STOCK = 'yes'", Asked(), "2 7"),
        ("INCLUDE ItemID WHERE Items.PRICE < 6 OR Items.BRAND = 'Luxe' AND Items.STOCK = 'yes'", Asked(), "2 3 5 7"),
        ("INCLUDE ItemID WHERE Interactions.EVENT_TYPE NOT IN ('view')", Asked("u0"), "1 3 6"),
        ("INCLUDE ItemID WHERE Items.PRICE < 6 IF CurrentUser.USER_ID = 'u1'", Asked("u1"), "3 5"),
        ("INCLUDE ItemID WHERE Items.PRICE < 6 IF CurrentUser.USER_ID = 'u1'", Asked("u0"), "0 1 2 3 4 5 6 7"),
        ("EXCLUDE ItemID WHERE Items.PRICE < 6 IF CurrentUser.COUNTRY NOT IN ('DE')", Asked("u0"), "0 1 2 4 6 7"),
        ("EXCLUDE ItemID WHERE Items.PRICE < 6 IF CurrentUser.COUNTRY NOT IN ('DE')", Asked("u2"), "0 1 2 3 4 5 6 7"),
    ],
)
def test_beside_the_examples(artefact: Artefact, text: str, asked: Asked, wanted: str) -> None:
    assert passes(artefact, text, asked) == wanted


def test_an_item_that_is_not_known_has_no_neighbours_by_column(related: Artefact) -> None:
    assert passes(related, VALID[29], Asked(item="i99")) == ""
    assert passes(related, VALID[31], Asked(item="i6")) == "0 1 2 3 4 5 6 7"


def test_a_streamed_record_of_the_user_takes_the_place_of_the_imported_one(artefact: Artefact) -> None:
    filtering = Filtering(artefact, checked(VALID[21]))

    def horror_is_dropped(record: Mapping[str, str | None] | None, user: str = "u1") -> bool:
        return not filtering.allowed(FilterAsked({}, user, None, 0.0, (), record))[3]

    assert not horror_is_dropped(None)
    assert horror_is_dropped({"AGE": "12"})
    assert horror_is_dropped({"AGE": "12"}, "new")
    assert not horror_is_dropped({"AGE": None}, "u0")
    assert not horror_is_dropped({"AGE": "many"}, "u0")
    assert not horror_is_dropped({}, "u0")


def test_items_that_the_version_does_not_know_have_only_streamed_events(artefact: Artefact) -> None:
    def allows(number: int) -> bool:
        filtering = Filtering(artefact, checked(VALID[number]))
        return filtering.allows_unknown("gone", FilterAsked({"G": ["x"]}, "u0", None, 0.0, SHOP.streamed["u0"]))

    assert [allows(number) for number in (1, 2, 3, 9, 6, 24)] == [True, False, True, True, False, False]


def test_a_version_of_before_there_were_filters_says_so(tmp_path: Path) -> None:
    old = Artefact.open(make_artefact(tmp_path / "a"))
    with pytest.raises(InvalidInput, match="before there were filters; train anew"):
        Filtering(old, checked(VALID[1]))


def test_a_version_that_lacks_the_column_says_so(tmp_path: Path) -> None:
    data = SHOP.filter_data()
    without = {name: column for name, column in data.items.by_name.items() if name != "PRICE"}
    lacking = type(data)(type(data.items)(data.items.described, without), data.users, data.touched)
    artefact = Artefact.open(make_artefact(tmp_path / "a", items=8, users=4, filter_data=lacking))
    with pytest.raises(InvalidInput, match="was trained without the column PRICE of the filter; train anew"):
        Filtering(artefact, checked(VALID[12]))
