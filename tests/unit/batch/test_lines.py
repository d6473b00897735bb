"""One line of a batch job's file: what may stand in it, and what is written for it."""

from __future__ import annotations

import pytest

from pipelines.batch import lines
from pipelines.batch.lines import BadLine
from pipelines.serving.calls import GET_PERSONALIZED_RANKING, GET_RECOMMENDATIONS
from pipelines.serving.recommender import Scored


def test_an_answer_is_written_as_amazon_personalize_writes_it() -> None:
    scored = [Scored("63992", 0.0152238), Scored("115149", 0.0069081)]
    given = lines.parse(b'{ "userId": "4638" }')
    assert lines.answer(given, scored, True) == (
        b'{"input":{"userId":"4638"},"output":{"recommendedItems":["63992","115149"],"scores":[0.0152238,0.0069081]},'
        b'"error":null}\n'
    )
    assert lines.answer(given, [Scored("1", None)], False) == (
        b'{"input":{"userId":"4638"},"output":{"recommendedItems":["1"]},"error":null}\n'
    )


def test_an_item_that_a_ranking_does_not_know_has_the_score_null() -> None:
    written = lines.answer({"userId": "1"}, [Scored("1", 1.0), Scored("new", None)], True)
    assert b'"recommendedItems":["1","new"],"scores":[1.0,null]' in written


def test_a_line_becomes_a_request_of_the_runtime() -> None:
    given = {"userId": "1", "context": {"DEVICE": "phone"}, "more": 1}
    assert lines.call(given, GET_RECOMMENDATIONS, 7) == {
        "userId": "1", "context": {"DEVICE": "phone"}, "numResults": 7,
    }  # fmt: skip
    ranking = lines.call({"userId": "1", "itemList": ["a", "b"]}, GET_PERSONALIZED_RANKING, 7)
    assert ranking["inputList"] == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"userId,1", "not JSON"),
        (b'{"userId": "\xff"}', "not JSON"),
        (b'["1"]', "must be a JSON object"),
        (b'"1"', "must be a JSON object"),
        (b"[" * 5000, "not JSON"),
        (b'{"userId": "' + b"x" * lines.MOST_BYTES + b'"}', "longer than 1,048,576 bytes"),
        (b'{"userId": 1}', "userId must be a string of 1 to 256 characters"),
        (b'{"userId": ""}', "userId must be"),
        (b'{"userId": "nul\\u0000"}', "none of them U"),
        (b'{"itemId": "' + b"x" * 257 + b'"}', "itemId must be"),
        (b'{"userId": "1", "context": ["phone"]}', "context must be an object"),
        (b'{"userId": "1", "context": {"DEVICE": 1}}', "values are strings"),
    ],
)
def test_a_line_that_cannot_be_answered_says_why(line: bytes, words: str) -> None:
    with pytest.raises(BadLine, match=words):
        lines.call(lines.parse(line), GET_RECOMMENDATIONS, 5)


@pytest.mark.parametrize(
    "given", [{}, {"itemList": "1"}, {"itemList": []}, {"itemList": ["1"] * 501}, {"itemList": [1]}]
)
def test_a_ranking_needs_a_list_of_items(given: dict[str, object]) -> None:
    with pytest.raises(BadLine, match="itemList"):
        lines.call({"userId": "1", **given}, GET_PERSONALIZED_RANKING, 5)


def test_a_failure_shows_the_line_as_far_as_it_can_be_shown() -> None:
    assert lines.failure(b'{"itemId": "1"}', "why") == b'{"input":{"itemId":"1"},"output":null,"error":"why"}\n'
    assert lines.failure(b"caf\xe9", "why") == '{"input":"caf\ufffd","output":null,"error":"why"}\n'.encode()
    assert len(lines.failure(b"x" * 5000, "why")) < 1100
