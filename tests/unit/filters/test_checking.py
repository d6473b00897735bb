"""Whether filters fit their datasets: the examples of spec/filters.md section 8 and every rule of sections 3, 5, 7."""

from __future__ import annotations

import pytest

from pipelines.aws.errors import InvalidInput
from pipelines.datasets.schema import Field as Column
from pipelines.filters.checking import check, columns
from pipelines.filters.parsing import parse
from pipelines.filters.tree import Condition, Field, Listed, Value
from tests.support.filters import DATASETS, INVALID, VALID, checked


@pytest.mark.parametrize("number", VALID)
def test_valid_example(number: int) -> None:
    assert columns(checked(VALID[number]))


@pytest.mark.parametrize("number", INVALID)
def test_invalid_example(number: int) -> None:
    text, pointed_at, why = INVALID[number]
    assert_refused(text, pointed_at, why)


def assert_refused(text: str, pointed_at: str, why: str) -> None:
    with pytest.raises(InvalidInput) as failure:
        checked(text)
    first, shown, caret = failure.value.message.split("\n")
    assert first.startswith("Could not create filter. Invalid expression at character ")
    assert why in first
    assert shown[len(caret) - 1 :].startswith(pointed_at)


ITEM = "INCLUDE ItemID WHERE Items."


@pytest.mark.parametrize(
    ("text", "pointed_at", "why"),
    [
        (f"{ITEM}BRAND = 5", "5", "Items.BRAND is a text, and 5 is not in quotes"),
        (f'{ITEM}YEAR IN ("1999", 2000, "x")', '"x"', "Items.YEAR is a number, and 'x' is not"),
        (f"{ITEM}YEAR = true", "true", "Items.YEAR is a number, and True is not"),
        (f"{ITEM}PRICE > 1e999", "1e999", "the number is too large"),
        (f'{ITEM}GENRES > "a"', '> "a"', "> needs a number, and Items.GENRES is a text"),
        (f"{ITEM}BRAND = NOW()", "NOW", "NOW() is a number, and Items.BRAND is a text"),
        (f"{ITEM}PRICE = CurrentItem.BRAND", "CurrentItem", "are not of one kind"),
        (f"{ITEM}PRICE < Items.YEAR", "Items.YEAR", "on the right side of < can stand"),
        (f"{ITEM}PRICE < CurrentUser.AGE", "CurrentUser", "can only be tested after IF"),
        (f"{ITEM}YEAR IS TRUE", "IS", "IS needs a boolean column, and Items.YEAR is not one"),
        (f'{ITEM}BRAND NOT IN ("*")', '"*"', '"*" can only stand alone'),
        (f'{ITEM}BRAND = "*"', '"*"', '"*" can only stand'),
        (f'{ITEM}BRAND IN ("a", $B)', "$B", "one placeholder alone, or literals"),
        (f"{ITEM}PRICE < ${'A' * 51}", "$AAA", "at most 50 characters"),
        (f"{ITEM}PRICE < 3 | EXCLUDE UserID WHERE Users.AGE > 3", "EXCLUDE", "must be for ItemID"),
        ("INCLUDE ItemID WHERE Foo.A = 1", "Foo", "FOO is not a dataset; an expression for ItemID can use Items and"),
        ("INCLUDE ItemID WHERE Users.AGE = 1", "Users", "Users cannot be used"),
        ("INCLUDE ItemID WHERE CurrentItem.PRICE < Items.PRICE", "CurrentItem", "on the right side"),
        ('INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("*","a")', '"*"', '"*" can only stand alone'),
        ('INCLUDE ItemID WHERE Interactions.EVENT_TYPE NOT IN ("*")', '"*"', '"*" can only stand alone'),
        ("INCLUDE ItemID WHERE Interactions.EVENT_TYPE > 3", "> 3", "> needs a number"),
        ("INCLUDE UserID WHERE Users.AGE > 3 IF CurrentUser.AGE > 3", "CurrentUser", "IF cannot be used with UserID"),
        ("INCLUDE UserID WHERE Users.AGE > CurrentItem.YEAR", "CurrentItem", "only columns of Items"),
        (f"{ITEM}PRICE < 3 IF CurrentUser.AGE > CurrentItem.YEAR", "CurrentItem", "only columns of Items"),
        ("INCLUDE ActionID WHERE Items.PRICE > 3", "Items", "an expression for ActionID can use Actions and Action_I"),
    ],
)
def test_refused(text: str, pointed_at: str, why: str) -> None:
    assert_refused(text, pointed_at, why)


def test_a_dataset_that_the_group_lacks_is_named() -> None:
    text = "INCLUDE ItemID WHERE Items.PRICE > 3"
    with pytest.raises(InvalidInput, match="character 22: the dataset group has no Items dataset"):
        check(text, parse(text), {"INTERACTIONS": DATASETS["INTERACTIONS"]})


def test_more_placeholders_than_a_request_has_values_are_refused() -> None:
    def text(count: int) -> str:
        return ITEM + " OR Items.".join(f"PRICE = $P{number}" for number in range(count))

    assert checked(text(25))
    with pytest.raises(InvalidInput, match="at most 25 placeholders"):
        checked(text(26))
    assert checked(text(25) + " OR Items.PRICE = $P3")


def test_columns_come_out_with_their_own_names_and_types_and_literals_of_their_kind() -> None:
    assert checked("INCLUDE ItemID WHERE items.year IN ('1999', 2000, 1.5)").expressions[0].where == Condition(
        Field("ITEMS", "YEAR", "int"), "IN", Listed((Value(1999), Value(2000), Value(1.5)))
    )
    found = checked('INCLUDE ItemID WHERE Interactions.event_type = "VIEW"').expressions[0].where
    assert found == Condition(Field("INTERACTIONS", "EVENT_TYPE", "string"), "=", Value("view"))


def test_a_column_with_the_case_of_its_schema_is_found_in_any_case() -> None:
    text = "INCLUDE ItemID WHERE ITEMS.PRICE_NET > 1"
    found = check(text, parse(text), {"ITEMS": (Column("price_Net", "double"),)})
    assert columns(found) == {"ITEMS": {"price_Net": "double"}}


def test_columns_are_those_of_the_datasets_behind_the_current_user_and_item() -> None:
    assert columns(checked(VALID[23])) == {"ITEMS": {"GENRES": "string"}, "USERS": {"AGE": "int", "COUNTRY": "string"}}
    assert columns(checked(VALID[29])) == {"ITEMS": {"PRICE": "float"}}


@pytest.mark.parametrize(
    "text",
    [
        f"{ITEM}ON_SALE IS TRUE",
        f"{ITEM}ON_SALE is false AND (Items.PRICE < 5 OR Items.YEAR = 2020)",
        f"{ITEM}CREATION_TIMESTAMP > NOW() - 30 DAYS",
        f"{ITEM}PRICE < 5 IF CurrentUser.AGE > 17 AND CurrentUser.TIER != 'none'",
        f'{ITEM}ITEM_ID IN ("i1", "i2")',
        f"{ITEM}BRAND = $BRAND",
        f"{ITEM}PRICE IN ($PRICES)",
        'INCLUDE ItemID WHERE Interactions.EVENT_TYPE NOT IN ("view")',
        "EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN (*)",
    ],
)  # fmt: skip
def test_taken(text: str) -> None:
    assert checked(text)
