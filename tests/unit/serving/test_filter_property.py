"""Filters as the runtime evaluates them against a slow and obvious evaluator, on random data and random expressions."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipelines.filters import tree
from pipelines.serving.artefact import Artefact
from pipelines.serving.filtering import FilterAsked, Filtering
from pipelines.serving.ids import IdTable
from pipelines.serving.newer import KnownItems, Record
from pipelines.serving.parts import Histories
from tests.support import filtered_shop
from tests.support.filtered_shop import Asked, ShopData
from tests.support.filters import checked

WORDS = ("a", "b", "c", "A", "a b", "")
NUMBERS = (-1, 0, 0.1, 1, 1.5, 4.3, 1990, 1_700_000_000, 16777217, 10**25)
KINDS = ("view", "cart", "Buy")
FILTERS = 5
"""On each shop."""
ITEMS, USERS, NOW = 9, 3, 1_700_000_000.0
TEXT_COLUMNS, NUMBER_COLUMNS = ("GENRES", "BRAND", "STOCK"), ("PRICE", "YEAR", "CREATION_TIMESTAMP", "RATING")


def shop(seed: int) -> ShopData:
    """Random records, a third of the cells null, and random events; sometimes more than a hundred of a type."""
    chance = random.Random(seed)

    def cell(column: str) -> Any:
        if chance.random() < 0.3:
            return None
        if column in ("GENRES", "BRAND", "STOCK", "TIER", "COUNTRY"):
            return "|".join(chance.choices(WORDS, k=chance.choice((1, 1, 1, 2, 3))))
        if column == "ON_SALE":
            return chance.random() < 0.5
        number = chance.choice(NUMBERS[:-1])
        return number if column in ("PRICE", "RATING") else int(number)

    def record(*columns: str) -> dict[str, Any] | None:
        found = {column: cell(column) for column in columns}
        return None if chance.random() < 0.1 else {c: value for c, value in found.items() if value is not None}

    def events(kinds: tuple[str | None, ...], most: int) -> list[Any]:
        return [(f"i{chance.randrange(ITEMS)}", chance.choice(kinds)) for _ in range(chance.randrange(most))]

    many = 250 if chance.random() < 0.02 else 8
    return ShopData(
        [record(*TEXT_COLUMNS, *NUMBER_COLUMNS, "ON_SALE") for _ in range(ITEMS)],
        [record("AGE", "TIER", "COUNTRY") for _ in range(USERS)],
        {f"u{user}": filtered_shop.newest_hundred(events((*KINDS, None), many)) for user in range(USERS)},
        {f"u{user}": events((*KINDS, "VIEW"), many) for user in range(USERS + 1)},
    )


def in_memory(data: ShopData) -> Artefact:
    """A version that answers related items, as far as filters look at it."""
    none = np.zeros(0)
    histories = Histories(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int64))
    items, users = (IdTable.of([f"{kind}{n}" for n in range(count)]) for kind, count in (("i", ITEMS), ("u", USERS)))
    manifest = {"recipe_type": "RELATED_ITEMS"}
    return Artefact(manifest, items, users, none, none, none, none, histories, None, data.filter_data())  # type: ignore[arg-type]


# Expressions ----------------------------------------------------------------------------------------------


class Writer:
    """Writes random filters. Not by hypothesis, whose draws would cost twenty times what they test."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def filter(self) -> str:
        return " | ".join(self._expression() for _ in range(self._chance.choice((1, 1, 2, 3))))

    def _expression(self) -> str:
        condition = self._chance.choice((self._of_items, self._of_items, self._of_events))
        users = " AND ".join(self._of_user() for _ in range(self._chance.choice((0, 0, 1, 2))))
        action = self._chance.choice(("INCLUDE", "EXCLUDE"))
        return f"{action} ItemID WHERE {self._nested(condition, 3)}{users and ' IF '}{users}"

    def _nested(self, condition: Callable[[], str], depth: int) -> str:
        if depth == 0 or self._chance.random() < 0.5:
            return condition()
        terms = [self._nested(condition, depth - 1) for _ in range(self._chance.choice((2, 2, 3)))]
        joined = self._chance.choice((" AND ", " OR ")).join(terms)
        return f"({joined})" if self._chance.random() < 0.5 else joined

    def _of_items(self) -> str:
        return self._chance.choice(
            (
                lambda: self._text("Items", TEXT_COLUMNS),
                lambda: self._number("Items", NUMBER_COLUMNS),
                lambda: f"Items.ON_SALE IS {self._chance.choice(('TRUE', 'false'))}",
                lambda: 'Items.ITEM_ID IN ("i1", "i7", "x")',
                self._beside_current_item,
            )
        )()

    def _of_user(self) -> str:
        if self._chance.random() < 0.5:
            return self._text("CurrentUser", ("TIER", "COUNTRY"))
        return self._number("CurrentUser", ("AGE",))

    def _text(self, dataset: str, columns: Sequence[str]) -> str:
        words = ", ".join(f'"{word}"' for word in self._some(WORDS))
        right = (f"IN ({words})", f"NOT IN ({words})", "IN ($T0)", "IN ($T1)", "= $T0", "!= ($T1)", '= "a"', "!= 'b'")
        return f"{dataset}.{self._chance.choice(columns)} {self._chance.choice(right)}"

    def _number(self, dataset: str, columns: Sequence[str]) -> str:
        numbers = [str(number) for number in self._some(NUMBERS)]
        listed = ", ".join(numbers)
        one = self._chance.choice((numbers[0], f"'{numbers[0]}'", "$N0", "($N1)", "NOW()", "NOW() - 2 DAYS"))
        right = (
            f"{self._compared()} {one}",
            f"{self._compared()} {one}",
            f"IN ({listed})",
            f"NOT IN ({listed})",
            "IN ($N0)",
        )
        return f"{dataset}.{self._chance.choice(columns)} {self._chance.choice(right)}"

    def _beside_current_item(self) -> str:
        if self._chance.random() < 0.5:
            left, right = self._chance.choice(NUMBER_COLUMNS), self._chance.choice(NUMBER_COLUMNS)
            return f"Items.{left} {self._chance.choice((self._compared(), 'IN'))} CurrentItem.{right}"
        left, right = self._chance.choice((*TEXT_COLUMNS, "ITEM_ID")), self._chance.choice(TEXT_COLUMNS)
        return f"Items.{left} {self._chance.choice(('=', '!=', 'IN'))} CurrentItem.{right}"

    def _of_events(self) -> str:
        listed = ", ".join(f"'{kind}'" for kind in self._some(("view", "CART", "buy", "x")))
        right = ('IN ("*")', "IN ($E0)", "= $E1", f"IN ({listed})", f"NOT IN ({listed})", "!= 'cart'")
        return f"Interactions.EVENT_TYPE {self._chance.choice(right)}"

    def _compared(self) -> str:
        return self._chance.choice(("=", "!=", "<", "<=", ">", ">="))

    def _some(self, values: Sequence[Any]) -> list[Any]:
        return self._chance.choices(values, k=self._chance.choice((1, 1, 2, 3)))


def request(chance: random.Random) -> tuple[dict[str, list[str]], str, str]:
    """filterValues, user, item."""
    values = {name: [chance.choice(WORDS)] for name in ("T0", "T1")}
    values |= {name: [chance.choice(("0", "4.3", "1990", "16777217"))] for name in ("N0", "N1")}
    values |= {"E0": chance.choice((["view", "Buy"], ["*"], ["x"])), "E1": chance.choice((["CART"], ["view"]))}
    return values, f"u{chance.randrange(USERS + 1)}", chance.choice(("i0", "i4", "i99"))


def newer_records(seed: int) -> dict[str, Record]:
    """Records of PutItems that came after the training, as the database gives them, of some items."""
    chance, later = random.Random(seed), shop(seed + 10_000_000).items
    return {f"i{n}": filtered_shop.streamed(later[n] or {}) for n in chance.sample(range(ITEMS), chance.randrange(4))}


def disagreements(seeds: range) -> list[str]:
    """Of the shops of these seeds, each with FILTERS filters: what the two do not agree on.

    The version knows the shop as it was; newer records are laid over it, for the other evaluator they replace the old.
    """
    found = []
    for seed in seeds:
        data, chance, records = shop(seed), random.Random(-seed - 1), newer_records(seed)
        artefact = in_memory(data)
        assert artefact.filter_data is not None
        # Nothing may be left of what was newer before.
        before, known = (
            KnownItems.of(artefact.filter_data.items, artefact.items, newer)
            for newer in (newer_records(-seed), records)
        )
        later = shop(seed + 10_000_000).items
        items = [(later[n] or {}) if f"i{n}" in records else record for n, record in enumerate(data.items)]
        merged = replace(data, items=items)
        for _ in range(FILTERS):
            text = Writer(chance).filter()
            values, user, item = request(chance)
            missing = chance.sample(sorted(values), 2)
            if not agrees(merged, artefact, (before, known), text, values, missing, user, item):
                found.append(f"seed {seed}: {text} for {user}, {item}, {values} less {missing}")
    return found


def agrees(
    data: ShopData,
    artefact: Artefact,
    known: tuple[KnownItems, KnownItems],
    text: str,
    values: Mapping[str, list[str]],
    missing: Sequence[str],
    user: str,
    item: str,
) -> bool:
    """Values that only EXCLUDE expressions need may be missing."""
    filter = checked(text)
    needed = {use.name for one in filter.expressions if one.action == "INCLUDE" for use, _ in tree.placeholders(one)}
    brought = {name: value for name, value in values.items() if name in needed or name not in missing}
    asked = FilterAsked(brought, user, item, NOW, data.streamed[user])
    filtering = Filtering(artefact, filter, known[0]).over(known[1])
    found = artefact.items.ids(np.flatnonzero(filtering.allowed(asked)).tolist())
    return set(found) == filtered_shop.allowed(data, filter, Asked(user, item, NOW, brought))


def test_2000_random_filters_on_random_data() -> None:
    assert disagreements(range(2000 // FILTERS)) == []


@pytest.mark.soak
def test_100000_random_filters_on_random_data() -> None:
    assert disagreements(range(1000, 1000 + 100_000 // FILTERS)) == []
