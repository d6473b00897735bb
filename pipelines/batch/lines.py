"""One line of a batch job's file: what it asks, and what is written for it (spec/runtime.md sections 7 and 8).

    {"userId": "4638"}                             {"input":{...},"output":{"recommendedItems":[...],"scores":[...]},"error":null}
    {"itemId": "105"}                              a line that cannot be answered: {"input":...,"output":null,"error":"why"}
    {"userId": "891", "itemList": ["27", "886"]}

and of a batch segment job

    {"itemId": "105"}                              {"input":{...},"output":{"usersList":["106","107"]},"error":null}
    {"itemAttributes": "ITEMS.GENRES = \"Comedy\""}

Where AWS is silent: members that the recipe has no use for are ignored, as by the runtime; `context` is taken as in a
request; what is no JSON is echoed as a string; of a ranking, items that the model does not know have the score null. AWS's
guide calls a segment's member `recommendedUsers`, what was recorded of AWS `usersList`: code that works there reads that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from pipelines.serving.calls import GET_PERSONALIZED_RANKING, MOST_RESULTS

if TYPE_CHECKING:
    from pipelines.serving.recommender import Scored

MOST_BYTES = 1 << 20
"""Of a line; a ranking of 500 items of 256 characters takes a quarter of it."""
ID_LENGTH = 256
_SHOWN = 1000


class BadLine(ValueError):
    """A line that cannot be answered; the message becomes its `error`."""


def parse(line: bytes) -> dict[str, Any]:
    """The line's members; raises BadLine."""
    if len(line) > MOST_BYTES:
        raise BadLine(f"The line is longer than {MOST_BYTES:,} bytes.")
    try:
        given = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadLine(f"The line is not JSON: {error}.") from None
    if not isinstance(given, dict):
        raise BadLine("The line must be a JSON object.")
    return given


# Unlike AWS, serving: a line of a batch inference job may have a `context`, as a request has. AWS documents none.
def call(given: Mapping[str, Any], operation: str, num_results: int) -> dict[str, Any]:
    """What a request of the runtime's `operation` would say, which rules the rest; raises BadLine naming the member."""
    asked: dict[str, Any] = {"numResults": num_results}
    for member in ("userId", "itemId"):
        if given.get(member) is not None:
            asked[member] = check_id(member, given[member])
    if operation == GET_PERSONALIZED_RANKING:
        asked["inputList"] = _item_list(given.get("itemList"))
    if given.get("context") is not None:
        asked["context"] = _strings("context", given["context"])
    return asked


def filter_values(given: Mapping[str, Any]) -> dict[str, str]:
    """The line's filterValues; raises BadLine."""
    return _strings("filterValues", given["filterValues"]) if given.get("filterValues") is not None else {}


def answer(given: Mapping[str, Any], scored: Sequence[Scored], has_scores: bool) -> bytes:
    """What is written for a line that was answered, with its newline."""
    output: dict[str, Any] = {"recommendedItems": [one.item_id for one in scored]}
    if has_scores:
        output["scores"] = [one.score for one in scored]
    return _written(given, output, None)


def segment(given: Mapping[str, Any], users: Sequence[str]) -> bytes:
    """What is written for a line whose users were found, best first, with its newline."""
    return _written(given, {"usersList": users}, None)


def failure(line: bytes, error: str) -> bytes:
    """What is written for a line that could not be answered, with its newline."""
    try:
        given = parse(line)
    except BadLine:
        return _written(line[:_SHOWN].decode("utf-8", "replace"), None, error)
    return _written(given, None, error)


def _written(given: Any, output: dict[str, Any] | None, error: str | None) -> bytes:
    whole = {"input": given, "output": output, "error": error}
    return orjson.dumps(whole, option=orjson.OPT_APPEND_NEWLINE)


def check_id(member: str, value: Any) -> str:
    """The value, which must be an id; raises BadLine."""
    if not isinstance(value, str) or not 1 <= len(value) <= ID_LENGTH or "\0" in value:
        raise BadLine(f"{member} must be a string of 1 to {ID_LENGTH} characters, none of them U+0000.")
    return value


def _item_list(value: Any) -> list[str]:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_RESULTS:
        raise BadLine(f"itemList must be a list of 1 to {MOST_RESULTS} item ids.")
    return [check_id("An id of itemList", one) for one in value]


def _strings(member: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise BadLine(f"{member} must be an object whose values are strings.")
    return value
