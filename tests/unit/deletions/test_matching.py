"""Ids in bytes: found wherever they stand, overwritten without moving anything."""

from __future__ import annotations

import json
import random

import pytest

from pipelines.deletions.matching import FEW, Matcher

ID = "0123456789abcdef0123456789abcdef"


MANY = [f"{n:032d}" for n in range(FEW)]
"""Enough that they are not sought one by one."""


@pytest.mark.parametrize("others", [[], MANY], ids=["few", "many"])
def test_a_long_id_is_found_anywhere_at_every_place(others: list[str]) -> None:
    matcher = Matcher([ID, *others])
    for before in range(50):
        data = b"z" * before + ID.encode() + b"z" * (50 - before)
        assert matcher.find(data) == [(before, before + 32)]
    assert matcher.find(b"z" * 100) == []
    assert matcher.find(b"") == []


def test_what_is_overwritten_keeps_its_length_and_leaves_the_rest() -> None:
    data = json.dumps({"event": f"line\n{ID}: refused, {ID}"}).encode()
    black, count = Matcher([ID]).black_out(data)
    assert count == 2
    assert len(black) == len(data)
    assert json.loads(black) == {"event": f"line\n{'x' * 32}: refused, {'x' * 32}"}


@pytest.mark.parametrize("others", [[], MANY], ids=["few", "many"])
def test_a_short_id_is_found_only_where_it_stands_by_itself(others: list[str]) -> None:
    matcher = Matcher(["7", "anna", *others])
    data = b"<td>7</td> 'anna' 2027-07-07 7 of 7 in joanna's code 77"
    assert [data[start:end] for start, end in matcher.find(data)] == [b"7", b"anna"]


@pytest.mark.parametrize(
    "writing", ["a&b<c>'d'\"e\"f", "Ünïcödé-user-💡", "tab\tnewline\nback\\slash", "with space/slash"]
)
def test_an_id_is_found_however_it_is_written(writing: str) -> None:
    import html
    from urllib.parse import quote

    matcher = Matcher([writing])
    for text in (
        writing,
        html.escape(writing),
        json.dumps(writing),
        repr(writing),
        quote(writing),
        quote(writing, safe=""),
    ):
        assert matcher.find(b"," + text.encode() + b","), text


def test_one_of_thousands_of_ids_is_found_in_a_long_log() -> None:
    chosen = random.Random(1)
    ids = [f"{chosen.getrandbits(128):032x}" for _ in range(20_000)]
    data = b"some line of a log without anybody in it\n" * 50_000 + ids[17_000].encode()
    assert Matcher(ids).find(data) == [(len(data) - 32, len(data))]
    assert Matcher(ids[:17_000]).find(data) == []


def test_ids_that_overlap_are_one_place() -> None:
    assert Matcher(["abcdefghijklmn", "hijklmnopqrstu"]).find(b"-abcdefghijklmnopqrstu-") == [(1, 22)]
