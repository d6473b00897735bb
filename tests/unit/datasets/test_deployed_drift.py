"""Drift against a training: its numbers on data whose drift is known, and what is too little to say anything."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_checks.drift import rules
from pipelines.datasets.deployed_drift import ENOUGH_FOR_ITEMS, Origin, Side, compare, distance
from pipelines.datasets.profile_queries import DAY, Numbers
from pipelines.datasets.reading import open_database
from tests.support.imports import run, text

START = 1_700_000_000


class Shop:
    """Draws events of a shop: Zipf's items, users, two types; day by day."""

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)

    def events(
        self,
        first_day: int,
        days: int,
        per_day: int = 500,
        *,
        items: Sequence[str] = (),
        views: float = 0.9,
        users: str = "u",
    ) -> pa.Table:
        rows = days * per_day
        names = list(items) or [f"i{n}" for n in range(300)]
        weights = 1 / np.arange(1, len(names) + 1)
        at = START + DAY * first_day + np.sort(self._random.integers(0, DAY * days, rows))
        return pa.table(
            {
                "USER_ID": [f"{users}{n}" for n in self._random.integers(0, 50, rows)],
                "ITEM_ID": self._random.choice(names, rows, p=weights / weights.sum()).tolist(),
                "TIMESTAMP": at,
                "EVENT_TYPE": np.where(self._random.random(rows) < views, "view", "buy").tolist(),
            }
        )


def found(folder: Path, trained: Sequence[pa.Table], new: Sequence[pa.Table]) -> Numbers:
    sides = []
    with closing(open_database(folder / "spill")) as connection:
        for name, tables in (("trained", trained), ("new", new)):
            origins = []
            for number, table in enumerate(tables):
                path = folder / f"{name}-{number}.parquet"
                pq.write_table(table, path)
                origins.append(Origin((path,), tuple(table.column_names)))
            sides.append(Side(connection, tuple(origins), START + 1_000 * DAY))
        return compare(*sides)


def level(numbers: Numbers) -> dict[str, str]:
    """What Great Expectations finds too (test_deployed.py), without its five seconds."""
    broken = {}
    for rule in rules():
        value = numbers.row.get(rule.number)
        if value is not None and not (rule.minimum or 0) <= value <= (rule.maximum or 0):
            broken[rule.number.removeprefix("deployed:")] = rule.severity
    return broken


def test_the_same_shop_a_week_later_has_not_moved(tmp_path: Path) -> None:
    shop = Shop()
    numbers = found(tmp_path, [shop.events(0, 60)], [shop.events(60, 7)])
    assert numbers.row["deployed:new_item_share"] == numbers.row["deployed:new_user_share"] == 0
    assert numbers.row["deployed:volume"] == pytest.approx(1, abs=0.01)
    assert level(numbers) == {}


@pytest.mark.parametrize(("rows", "items"), [(2_000, 200), (2_000, 20_000), (50_000, 20_000)])
def test_chance_alone_does_not_warn(rows: int, items: int) -> None:
    random, weights = np.random.default_rng(rows), 1 / np.arange(1, items + 1) ** 0.8
    old, new = (random.multinomial(rows, weights / weights.sum()) for _ in range(2))
    named = np.zeros(items, bool)
    for counts in (old, new):
        named[np.argsort(-counts, kind="stable")[:100]] = True
    both = [[*counts[named].tolist(), int(counts[~named].sum())] for counts in (old, new)]
    assert distance(*both) < 0.3


def test_new_items_are_a_share_of_events_and_named(tmp_path: Path) -> None:
    shop = Shop()
    new = [shop.events(60, 7, 400), shop.events(60, 7, 100, items=["fresh"])]
    numbers = found(tmp_path, [shop.events(0, 60)], new)
    assert numbers.row["deployed:new_item_share"] == pytest.approx(0.2)
    assert numbers.examples["deployed:new_item_share"] == ["1 new item in 700 of 3,500 rows", "fresh: 700 rows"]
    assert level(numbers)["new_item_share"] == "warning"


def test_other_taste_on_the_same_items_is_popularity_and_nothing_else(tmp_path: Path) -> None:
    shop, names = Shop(), [f"i{n}" for n in range(300)]
    numbers = found(tmp_path, [shop.events(0, 60)], [shop.events(60, 7, items=names[::-1])])
    assert level(numbers) == {"popularity": "critical"}
    assert "in training" in numbers.examples["deployed:popularity"][0]


def test_a_renamed_type_other_users_and_a_lost_tracker(tmp_path: Path) -> None:
    shop = Shop()
    numbers = found(tmp_path, [shop.events(0, 60)], [shop.events(60, 7, 80, views=0.3, users="other-")])
    assert level(numbers) == {"event_types": "critical", "new_user_share": "critical", "volume": "critical"}
    assert numbers.row["deployed:volume"] == pytest.approx(80 / 500, abs=0.01)


def test_what_was_lately_counts_not_what_was_a_year_ago(tmp_path: Path) -> None:
    """The taste turned long before the training: the model knows, so nothing has moved."""
    shop, turned = Shop(), [f"i{n}" for n in range(300)][::-1]
    trained = [shop.events(0, 100), shop.events(100, 30, items=turned)]
    assert level(found(tmp_path, trained, [shop.events(130, 7, items=turned)])) == {}


def test_what_is_too_little_is_not_judged(tmp_path: Path) -> None:
    shop = Shop()
    trained = [shop.events(0, 60)]
    assert list(found(tmp_path, trained, [shop.events(60, 1, 100)]).row) == ["deployed:rows"]
    few = found(tmp_path, trained, [shop.events(60, 1, ENOUGH_FOR_ITEMS - 1)])
    assert "deployed:popularity" not in few.row and "deployed:new_item_share" in few.row
    hour = shop.events(60, 1, 1_000)
    hour = hour.set_column(2, "TIMESTAMP", pa.array(np.full(1_000, START + 61 * DAY)))
    assert "deployed:volume" not in found(tmp_path, trained, [hour]).row
    assert list(found(tmp_path, [], [shop.events(0, 7)]).row) == ["deployed:rows"]


def test_codes_of_a_snapshot_are_the_ids_that_were_streamed(tmp_path: Path) -> None:
    """Half of the training was imported, half streamed; the new rows are of the same items and users."""
    shop = Shop()
    imported, streamed, new = shop.events(0, 30), shop.events(30, 30), shop.events(60, 7)
    lines = [
        f"{row['USER_ID']},{row['ITEM_ID']},{row['TIMESTAMP']},{row['EVENT_TYPE']}," for row in imported.to_pylist()
    ]
    snapshot = run(tmp_path, "INTERACTIONS", text(lines)).snapshot
    imported = imported.group_by(imported.column_names).aggregate([])  # equal rows count once
    paths = []
    for name, table in (("streamed", streamed), ("new", new)):
        paths.append(tmp_path / f"{name}.parquet")
        pq.write_table(table, paths[-1])
    columns = tuple(new.column_names)
    with closing(open_database(tmp_path / "spill")) as connection:
        until = START + 1_000 * DAY
        trained = Side(connection, (Origin.of(snapshot), Origin((paths[0],), columns)), until)
        both = compare(trained, Side(connection, (Origin((paths[1],), columns),), until))
    apart = found(tmp_path, [imported, streamed], [new])
    assert both.row == pytest.approx(apart.row)
    assert both.row["deployed:new_item_share"] == 0


@pytest.mark.parametrize(("moved", "expected"), [(0.0, 0.0), (0.17, 0.3), (0.42, 0.5), (1.0, 1.0)])
def test_what_a_distance_means(moved: float, expected: float) -> None:
    assert distance([100_000, 0], [round(100_000 * (1 - moved)), round(100_000 * moved)]) == pytest.approx(
        expected, abs=0.005
    )
