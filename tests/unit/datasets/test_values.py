"""Rules of single values beyond types: texts that are cut, events of actions, moments, and each limit's last good value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.datasets.schema import DatasetType
from tests.support.imports import NULLABLE_STRING, avro, run, text

ACTION_INTERACTIONS = avro("ActionInteractions", USER_ID="string", ACTION_ID="string", TIMESTAMP="long", EVENT_TYPE="string")  # fmt: skip
ACTIONS = avro(
    "Actions", ACTION_ID="string", VALUE=["null", "float"], ACTION_EXPIRATION_TIMESTAMP=["null", "long"],
    CREATION_TIMESTAMP=["null", "long"], REPEAT_FREQUENCY=["null", "int"],
)  # fmt: skip
KINDS = avro("Items", ITEM_ID="string", I="int", L="long", F="float", D="double", B="boolean", S=NULLABLE_STRING)
GOOD = {"ITEM_ID": "a", "I": "1", "L": "1", "F": "1", "D": "1", "B": "true", "S": "s"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("x" * 20_001, "x" * 20_000),
        ("é" * 20_000, "é" * 20_000),
        ("映" * 7_001, "映" * 7_000),
        ("ひらがなカタカナ" * 1_000, "ひらがなカタカナ" * 875),
        ("a film, <b>映画</b>; " * 500, "a film, <b>映画</b>; " * 500),
        ("한국어 " * 3_000, "한국어 " * 3_000),
    ],
    ids=lambda value: value[:3],
)
def test_a_long_text_is_cut_off_without_a_word(tmp_path: Path, given: str, kept: str) -> None:
    header = "ITEM_ID,GENRES,PRICE,DESCRIPTION,CREATION_TIMESTAMP"
    done = run(tmp_path, "ITEMS", text([f'a,x,1,"{given}",'], header))
    assert done.rows()[0]["DESCRIPTION"] == kept
    assert done.rejects == []


def test_events_of_actions_are_three_and_stored_as_the_data_writes_them(tmp_path: Path) -> None:
    words = ["TAKEN", "Not Taken", "not_taken", " viewed ", "Clicked", ""]
    lines = [f"u,a,{n + 1},{word}" for n, word in enumerate(words)]
    header = "USER_ID,ACTION_ID,TIMESTAMP,EVENT_TYPE"
    done = run(tmp_path, "ACTION_INTERACTIONS", text(lines, header), schema=ACTION_INTERACTIONS)
    assert [row["EVENT_TYPE"] for row in done.rows()] == ["TAKEN", "NOT_TAKEN", "NOT_TAKEN", "VIEWED"]
    assert [(reject.line, reject.column) for reject in done.rejects] == [(6, "EVENT_TYPE"), (7, "EVENT_TYPE")]
    assert done.rejects[0].reason == "is none of TAKEN, NOT_TAKEN, VIEWED"


@pytest.mark.parametrize("column", ["ACTION_EXPIRATION_TIMESTAMP", "CREATION_TIMESTAMP"])
@pytest.mark.parametrize(("value", "reason"), [("1700000000", None), ("-86400", None), ("4102444800", None), ("4102444801", "after the year 2100"), ("1700000000000", "milliseconds"), ("", None)])  # fmt: skip
def test_moments_of_actions_are_seconds(tmp_path: Path, column: str, value: str, reason: str | None) -> None:
    header = f"ACTION_ID,VALUE,{column},REPEAT_FREQUENCY,{'CREATION_TIMESTAMP' if column[0] == 'A' else 'ACTION_EXPIRATION_TIMESTAMP'}"
    done = run(tmp_path, "ACTIONS", text([f"a,1,{value},7,"], header), schema=ACTIONS)
    assert [reject.column for reject in done.rejects] == ([column] if reason else [])
    assert all(reason and reason in reject.reason for reject in done.rejects)


@pytest.mark.parametrize(
    ("field", "value", "good"),
    [
        ("I", "2147483647", True), ("I", "2147483648", False), ("I", "-2147483648", True), ("I", "1.5", False),
        ("L", "9223372036854775807", True), ("L", "9223372036854775808", False), ("L", "1e3", False), ("L", "", False),
        ("F", "3.4e38", True), ("F", "3.5e38", False), ("F", "inf", False), ("F", "1,5", False), ("F", "0x10", False),
        ("D", "1.7e308", True), ("D", "1.8e308", False), ("D", "NaN", False), ("D", "1_0", False), ("D", ".5", True),
        ("B", "false", True), ("B", "TRUE", True), ("B", "yes", False), ("B", "0", False),
        ("S", "x" * 1_000, True), ("S", "x" * 1_001, False), ("S", "映" * 1_000, True), ("S", "映" * 1_001, False),
        ("ITEM_ID", "x" * 256, True), ("ITEM_ID", "☕" * 257, False),
    ],
    ids=lambda value: str(value)[:24],
)  # fmt: skip
def test_each_type_has_its_range(tmp_path: Path, field: str, value: str, good: bool) -> None:
    row = {**GOOD, field: f'"{value}"'}
    done = run(tmp_path, "ITEMS", text([",".join(row.values())], ",".join(row)), schema=KINDS)
    assert [reject.column for reject in done.rejects] == ([] if good else [field])
    assert done.row["records"] == 1


@pytest.mark.parametrize(
    ("kind", "name", "column", "limit"),
    [("INTERACTIONS", "Interactions", "IMPRESSION", 1_000), ("INTERACTIONS", "Interactions", "EVENT_TYPE", 256), ("ITEMS", "Items", "GENRES", 1_000)],
)  # fmt: skip
def test_impressions_event_types_and_categories_have_their_longest(
    tmp_path: Path, kind: DatasetType, name: str, column: str, limit: int
) -> None:
    base: dict[str, Any] = {"USER_ID": "string", "ITEM_ID": "string", "TIMESTAMP": "long"}
    ids = base if kind == "INTERACTIONS" else {"ITEM_ID": "string"}
    schema = avro(name, **ids, **{column: {"type": NULLABLE_STRING, "categorical": column == "GENRES"}})
    before = "u,i,1," if kind == "INTERACTIONS" else "i,"
    lines = [before + ("ab|" * limit)[:n] for n in (limit, limit + 1)]
    done = run(tmp_path, kind, text(lines, ",".join([*ids, column])), schema=schema)
    assert [(reject.line, reject.column) for reject in done.rejects] == [(3, column)]
    assert done.row["too_long_categories"] == (column == "GENRES")
