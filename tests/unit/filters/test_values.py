"""`filterValues`: how values are taken apart, and which must be there."""

from __future__ import annotations

import pytest

from pipelines.aws.errors import InvalidInput
from pipelines.filters.values import read_values
from tests.support.filters import VALID, checked


def values(text: str) -> list[str]:
    return list(read_values(checked(VALID[11]), {"GENRES": text})["GENRES"])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('"comedy"', ["comedy"]),
        ('"comedy","drama"', ["comedy", "drama"]),
        (' "comedy" , "drama" ', ["comedy", "drama"]),
        ("20", ["20"]),
        ("20,30", ["20", "30"]),
        ("sci fi", ["sci fi"]),
        ('"a,b"', ["a,b"]),
        (r'"say \"hi\"","x"', ['say "hi"', "x"]),
        (r'"a\\b"', [r"a\b"]),
        ('""', [""]),
        ("it's", ["it's"]),
    ],
)
def test_taken_apart(text: str, wanted: list[str]) -> None:
    assert values(text) == wanted


@pytest.mark.parametrize("text", ["", " ", '"a', 'a"b', '"a" "b"', '"a",', ",a", '"a"b'])
def test_what_cannot_be_taken_apart_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="filterValues: GENRES is "):
        values(text)


def test_an_include_needs_its_values_and_an_exclude_does_not() -> None:
    with pytest.raises(InvalidInput, match=r"a value for GENRES is needed: an INCLUDE expression has \$GENRES"):
        read_values(checked(VALID[11]), {})
    assert read_values(checked(VALID[5]), {}) == {}
    assert read_values(checked(VALID[28]), {"MAX": "3"}) == {"MAX": ["3"]}


def test_a_name_that_the_filter_does_not_have_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"no placeholder \$genres; it has GENRES"):
        read_values(checked(VALID[11]), {"genres": '"a"', "GENRES": '"a"'})
    with pytest.raises(InvalidInput, match=r"no placeholder \$X; it has none"):
        read_values(checked(VALID[1]), {"X": '"a"'})
