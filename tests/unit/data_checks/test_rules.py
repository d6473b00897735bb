"""Every rule: data that breaks it, and good data that breaks none. Small real imports, measured as the DAG measures them.

That Great Expectations says the same about the numbers is tests/unit/data_checks/test_judge.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from data_checks.judge import rules_for
from data_checks.rules import Rule, overridden
from pipelines.datasets.profile import Profile
from pipelines.datasets.schema import read_schema
from tests.support.imports import SCHEMAS, Imported, avro, interactions, run

NOW = 1_700_000_000
DAY = 86_400
Lines = list[str]

ITEM_FIELDS = avro(
    "Items",
    ITEM_ID="string",
    GENRES={"type": ["null", "string"], "categorical": True},
    PRICE=["null", "float"],
    DESCRIPTION={"type": ["null", "string"], "textual": True},
    CREATION_TIMESTAMP=["null", "long"],
)
AVRO: Mapping[str, Mapping[str, Any]] = {
    **SCHEMAS,
    "INTERACTIONS": avro(
        "Interactions",
        USER_ID="string",
        ITEM_ID="string",
        TIMESTAMP="long",
        EVENT_TYPE="string",
        EVENT_VALUE=["null", "float"],
        DEVICE={"type": ["null", "string"], "categorical": True},
    ),
}


def header(kind: str) -> str:
    return ",".join(field["name"] for field in AVRO[kind]["fields"])


def good(kind: str) -> Lines:
    """Lines that break no rule."""
    if kind == "INTERACTIONS":
        return [f"{line},{('phone', 'tablet')[n % 2]}" for n, line in enumerate(interactions())]
    if kind == "ITEMS":
        return [f"i{n},a|b,{5 + n % 7},some words,{NOW - n * DAY}" for n in range(80)]
    if kind == "USERS":
        return [f"u{n},f,true" for n in range(60)]
    if kind == "ACTIONS":
        return [f"a{n},offer,{n % 9},{NOW + 9 * DAY}" for n in range(20)]
    kinds = ("TAKEN", "NOT_TAKEN", "VIEWED")
    return [f"u{n % 40},a{n % 2},{NOW - DAY - n * 600},{kinds[n % 3]}" for n in range(400)]


def imported(folder: Path, kind: str, lines: Iterable[str], **around: Any) -> Imported:
    text = "\n".join([header(kind), *lines]) + "\n"
    return run(folder, kind, text.encode(), schema=AVRO[kind], as_of=NOW, **around)  # type: ignore[arg-type]


def rules(kind: str) -> list[Rule]:
    return rules_for(read_schema(AVRO[kind], kind))  # type: ignore[arg-type]


def broken(profile: Profile) -> set[str]:
    """The names of the rules that the numbers break."""
    found = set()
    for rule in rules(profile.dataset_type):
        value = profile.row.get(rule.number)
        low, high = rule.minimum, rule.maximum
        if value is not None and ((low is not None and value < low) or (high is not None and value > high)):
            found.add(rule.name)
    return found


def changed(kind: str, count: int, change: Callable[[list[str], int], None]) -> Lines:
    """Good lines, of which the first `count` had their cells changed."""
    lines = [line.split(",") for line in good(kind)]
    for n, cells in enumerate(lines[:count]):
        change(cells, n)
    return [",".join(cells) for cells in lines]


def put(column: int, value: str) -> Callable[[list[str], int], None]:
    def change(cells: list[str], n: int) -> None:
        cells[column] = value.format(n=n)

    return change


def daily(days: Iterable[int], per_day: int = 40) -> Lines:
    start = NOW - 100 * DAY
    return [f"u{n % 60},i{n % 70},{start + day * DAY + 901 * n},watch,1,phone" for day in days for n in range(per_day)]


# (dataset type, rule, lines that break it)
ALONE: list[tuple[str, str, Lines]] = [
    ("INTERACTIONS", "minimum rows", good("INTERACTIONS")[:999]),
    ("INTERACTIONS", "rejected rows", changed("INTERACTIONS", 13, put(2, "soon"))),
    ("INTERACTIONS", "no rejected rows", changed("INTERACTIONS", 1, put(2, "soon"))),
    ("INTERACTIONS", "categorical values of at most 1,000 characters", changed("INTERACTIONS", 1, put(5, "x" * 1001))),
    ("INTERACTIONS", "returning users", [line.replace(f"u{n % 60},", f"x{n if n > 40 else n % 5},", 1) for n, line in enumerate(good("INTERACTIONS"))]),
    ("INTERACTIONS", "share of returning users", changed("INTERACTIONS", 1200, put(0, "x{n}"))),
    ("INTERACTIONS", "users", [line.replace(f"u{n % 60},", f"x{n % 49},", 1) for n, line in enumerate(good("INTERACTIONS"))]),
    ("INTERACTIONS", "items", [",".join([c[0], f"i{n % 49}", *c[2:]]) for n, c in enumerate(line.split(",") for line in good("INTERACTIONS"))]),
    ("INTERACTIONS", "event types", changed("INTERACTIONS", 11, put(3, "type{n}"))),
    ("INTERACTIONS", "more than one moment", [f"u{n % 60},i{n // 60},1600000000,watch,1,phone" for n in range(1200)]),
    ("INTERACTIONS", "nothing from the future", changed("INTERACTIONS", 1, put(2, str(NOW + 2 * DAY)))),
    ("INTERACTIONS", "nothing from before 1990", changed("INTERACTIONS", 1, put(2, "20240131"))),
    ("INTERACTIONS", "no holes in time", daily([*range(20), *range(24, 40)])),
    ("INTERACTIONS", "equal rows", [*good("INTERACTIONS"), *good("INTERACTIONS")[:100]]),
    ("INTERACTIONS", "busiest user", changed("INTERACTIONS", 150, put(0, "bot"))),
    ("INTERACTIONS", "most popular item", changed("INTERACTIONS", 700, put(1, "home"))),
    ("INTERACTIONS", "users at the pace of a machine", [*good("INTERACTIONS"), *(f"bot,i{n % 80},{1_600_000_000 + n * 3},watch,1,phone" for n in range(1_001))]),
    ("INTERACTIONS", "users with bursts", [*good("INTERACTIONS"), *(f"bot,b{n},1600000001,watch,1,phone" for n in range(100))]),
    ("INTERACTIONS", "EVENT_VALUE is filled", changed("INTERACTIONS", 500, put(4, ""))),
    ("INTERACTIONS", "outliers of EVENT_VALUE", changed("INTERACTIONS", 1, put(4, "999999"))),
    ("INTERACTIONS", "negative values of EVENT_VALUE", changed("INTERACTIONS", 1, put(4, "-1"))),
    ("INTERACTIONS", "DEVICE is filled", changed("INTERACTIONS", 500, put(5, ""))),
    ("INTERACTIONS", "categories of DEVICE", changed("INTERACTIONS", 31, put(5, "d{n}"))),
    ("ITEMS", "minimum items", []),
    ("ITEMS", "items", good("ITEMS")[:49]),
    ("ITEMS", "each id once", [*good("ITEMS"), good("ITEMS")[0]]),
    ("ITEMS", "categories of GENRES", changed("ITEMS", 31, put(1, "g{n}|b"))),
    ("ITEMS", "GENRES is filled", changed("ITEMS", 30, put(1, ""))),
    ("ITEMS", "PRICE is filled", changed("ITEMS", 30, put(2, ""))),
    ("ITEMS", "outliers of PRICE", changed("ITEMS", 1, put(2, "999999"))),
    ("ITEMS", "negative values of PRICE", changed("ITEMS", 30, put(2, "-1"))),
    ("ITEMS", "DESCRIPTION is filled", changed("ITEMS", 15, put(3, ""))),
    ("ITEMS", "length of DESCRIPTION", changed("ITEMS", 1, put(3, "word " * 4_001))),
    ("ITEMS", "CREATION_TIMESTAMP is filled", changed("ITEMS", 30, put(4, ""))),
    ("ITEMS", "nothing created in the future", changed("ITEMS", 1, put(4, str(NOW + 2 * DAY)))),
    ("USERS", "minimum users", []),
    ("USERS", "users", good("USERS")[:49]),
    ("USERS", "each id once", [*good("USERS"), good("USERS")[0]]),
    ("USERS", "ADULT is filled", changed("USERS", 30, put(2, ""))),
    ("ACTIONS", "minimum actions", []),
    ("ACTIONS", "actions", [f"a{n},offer,1,{NOW + DAY}" for n in range(1_001)]),
    ("ACTIONS", "expired actions", changed("ACTIONS", 11, put(3, str(NOW)))),
    ("ACTIONS", "negative values of VALUE", [*good("ACTIONS") * 6, *(f"x{n},offer,5,{NOW + DAY}" for n in range(99)), f"y,offer,-1,{NOW + DAY}"]),
    ("ACTION_INTERACTIONS", "minimum action interactions", []),
    ("ACTION_INTERACTIONS", "actions with a score", good("ACTION_INTERACTIONS")[:140]),
    ("ACTION_INTERACTIONS", "busiest user", changed("ACTION_INTERACTIONS", 60, put(0, "bot"))),
    ("ACTION_INTERACTIONS", "most popular action", changed("ACTION_INTERACTIONS", 400, put(1, "a0"))),
]  # fmt: skip


@pytest.mark.parametrize("kind", sorted(AVRO))
def test_good_data_breaks_no_rule(kind: str, tmp_path: Path) -> None:
    assert broken(imported(tmp_path, kind, good(kind)).profile) == set()


@pytest.mark.parametrize(("kind", "rule", "lines"), ALONE, ids=[f"{kind}-{rule}" for kind, rule, _ in ALONE])
def test_data_breaks_the_rule_that_is_about_it(kind: str, rule: str, lines: Lines, tmp_path: Path) -> None:
    if not lines:  # a file without rows is refused before it is measured
        lines = [",".join(["x" * 257, *["1"] * (header(kind).count(","))])]
    assert rule in broken(imported(tmp_path, kind, lines).profile)


# Beside the import before, and beside the group's items and users -------------------------------------------------------


def test_the_same_again_has_not_drifted_and_knows_everybody(tmp_path: Path) -> None:
    import pyarrow as pa

    first = imported(tmp_path, "INTERACTIONS", good("INTERACTIONS"), name="a")
    known = {"USER_ID": pa.array([f"u{n}" for n in range(60)]), "ITEM_ID": pa.array([f"i{n}" for n in range(80)])}
    around = {"previous": first.snapshot, "before": first.profile.summary, "known": known}
    again = imported(tmp_path, "INTERACTIONS", good("INTERACTIONS"), name="b", **around).profile
    assert broken(again) == set()
    assert {rule.name for rule in rules("INTERACTIONS") if again.row.get(rule.number) is None} == set()


DRIFTED: list[tuple[str, Lines]] = [
    ("as many rows as before", good("INTERACTIONS") + [line.replace(",16", ",15") for line in good("INTERACTIONS")] + ["new,i1,1600000000,watch,1,phone"]),
    ("new users", changed("INTERACTIONS", 1200, put(0, "x{n}"))),
    ("new items", changed("INTERACTIONS", 1200, put(1, "x{n}"))),
    ("EVENT_TYPE is spread as before", changed("INTERACTIONS", 1100, put(3, "click"))),
    ("DEVICE is spread as before", changed("INTERACTIONS", 1200, put(5, "watch"))),
    ("EVENT_VALUE is filled as before", changed("INTERACTIONS", 260, put(4, ""))),
    ("EVENT_VALUE lies where it did", changed("INTERACTIONS", 1200, put(4, "100"))),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "lines"), DRIFTED, ids=[rule for rule, _ in DRIFTED])
def test_what_is_unlike_the_import_before_is_told(rule: str, lines: Lines, tmp_path: Path) -> None:
    first = imported(tmp_path, "INTERACTIONS", good("INTERACTIONS"), name="a")
    around = {"previous": first.snapshot, "before": first.profile.summary}
    assert rule in broken(imported(tmp_path, "INTERACTIONS", lines, name="b", **around).profile)


def test_a_full_import_of_other_items_is_told_and_an_incremental_one_is_not(tmp_path: Path) -> None:
    first = imported(tmp_path, "ITEMS", good("ITEMS"), name="a")
    around = {"previous": first.snapshot, "before": first.profile.summary}
    others = changed("ITEMS", 80, put(0, "x{n}"))
    assert "new items" in broken(imported(tmp_path, "ITEMS", others, name="b", **around).profile)
    added = imported(tmp_path, "ITEMS", others[:30], name="c", incremental=True, **around).profile
    assert broken(added) == {"items"}


def test_unknown_ids_are_counted_by_row_and_named(tmp_path: Path) -> None:
    import pyarrow as pa

    known = {"USER_ID": pa.array([f"u{n}" for n in range(53)]), "ITEM_ID": pa.array([f"i{n}" for n in range(79)])}
    profile = imported(tmp_path, "INTERACTIONS", good("INTERACTIONS"), known=known).profile
    assert broken(profile) == {"unknown users", "unknown items"}
    assert profile.row["unknown_user_share"] == 7 / 60
    assert profile.examples["unknown_item_share"] == ["1 unknown item in 15 rows", "i79: 15 rows"]
    assert profile.examples["unknown_user_share"][:2] == ["7 unknown users in 140 rows", "u53: 20 rows"]


def test_items_that_nobody_touched_are_counted_for_a_full_import_only(tmp_path: Path) -> None:
    import pyarrow as pa

    known = {"ITEM_ID": pa.array([f"i{n}" for n in range(200)])}
    full = imported(tmp_path, "INTERACTIONS", good("INTERACTIONS"), known=known).profile
    assert broken(full) == {"items without interactions"}
    part = imported(tmp_path, "INTERACTIONS", good("INTERACTIONS"), name="b", known=known, incremental=True).profile
    assert "idle_item_share" not in part.row


# What a person is shown -----------------------------------------------------------------------------------------------


def test_days_without_rows_are_named(tmp_path: Path) -> None:
    profile = imported(tmp_path, "INTERACTIONS", daily([*range(20), *range(24, 40)])).profile
    assert profile.row["longest_gap"] == 3
    assert profile.examples["longest_gap"] == ["no rows from 2023-08-27 to 2023-08-29 (3 days)"]


def test_a_weekend_and_a_thin_beginning_are_no_holes(tmp_path: Path) -> None:
    weekdays = [day for day in range(10, 60) if day % 7 < 5]
    assert imported(tmp_path, "INTERACTIONS", daily([0, *weekdays])).row["longest_gap"] <= 2


def test_who_looks_like_a_machine_is_named_and_a_date_is_no_moment(tmp_path: Path) -> None:
    bot = [f"bot,i{n % 80},{1_600_000_001 + n},watch,1,phone" for n in range(1_000)]
    dated = [f"careful,i{n},{1_600_041_600},watch,1,phone" for n in range(80)] * 2
    profile = imported(tmp_path, "INTERACTIONS", [*good("INTERACTIONS"), *bot, *dated]).profile
    assert profile.examples["rushing_users"] == ["bot: 1,000 events within an hour or more, 1,000 events in all"]
    assert profile.row["bursting_users"] == 0


def test_an_outlier_is_named_with_whose_it_is_and_does_not_flatten_the_drawing(tmp_path: Path) -> None:
    lines = [f"i{n},a,{5 + n % 37}.5,words,{NOW}" for n in range(400)] + [f"odd,a,9999999,words,{NOW}"]
    profile = imported(tmp_path, "ITEMS", lines).profile
    assert profile.examples["outliers:PRICE"] == ["9999999.0 (item odd)"]
    [shape] = [shape for shape in profile.shapes if shape.key == "column:PRICE"]
    assert max(count for _, count in shape.bars) < 100


def test_a_moment_in_the_future_is_shown_as_a_date(tmp_path: Path) -> None:
    profile = imported(tmp_path, "INTERACTIONS", changed("INTERACTIONS", 1, put(2, str(NOW + 2 * DAY)))).profile
    assert profile.examples["future_share"] == ["1700172800 = 2023-11-16 22:13 (user u0, item i0)"]


# A group's own rules -----------------------------------------------------------------------------------------------


def test_a_group_sets_severity_and_bounds_anew_or_a_rule_off() -> None:
    own = rules("INTERACTIONS")
    ours = {
        rule.name: rule
        for rule in overridden(
            own,
            {
                "rejected rows": {"severity": "warning", "maximum": 0.2},
                "unknown items": {"severity": "critical"},
                "users": {"severity": "off"},
            },
        )
    }
    assert "users" not in ours and len(ours) == len(own) - 1
    assert (ours["rejected rows"].severity, ours["rejected rows"].bounds) == ("warning", "at most 20 %")
    assert (ours["unknown items"].severity, ours["unknown items"].bounds) == ("critical", "at most 1 %")
    assert {name for name, rule in ours.items() if rule.is_overridden} == {"rejected rows", "unknown items"}


def test_by_default_only_what_amazon_personalize_refuses_is_critical() -> None:
    critical = {rule.name for kind in AVRO for rule in rules(kind) if rule.severity == "critical"}
    minimum = {
        "minimum rows",
        *(f"minimum {things}" for things in ("items", "users", "actions", "action interactions")),
    }
    assert critical == minimum | {"rejected rows", "categorical values of at most 1,000 characters"}


def test_every_rule_has_data_that_breaks_it() -> None:
    def family(name: str) -> str:
        """Rules about several columns, or about users as about items, are one."""
        return re.sub(r"action|user|item", "thing", re.sub(r"[A-Z_]{3,}", "COLUMN", name))

    tested = [rule for _, rule, _ in ALONE] + [rule for rule, _ in DRIFTED]
    tested += ["unknown users", "items without interactions"]
    all_rules = {family(rule.name) for kind in AVRO for rule in rules(kind)}
    assert all_rules - {family(name) for name in tested} == set()
