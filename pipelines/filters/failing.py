"""The error of an expression, which shows the place that is wrong."""

from __future__ import annotations

from pipelines.aws.errors import InvalidInput

FILTER = "Could not create filter. Invalid expression"
"""As CreateFilter begins."""
ATTRIBUTES = "itemAttributes: invalid"
_SHOWN = 60
"""How many characters of a long line are shown on either side of the place."""


def refused(text: str, at: int, why: str, what: str = FILTER) -> InvalidInput:
    """`what` is wrong, FILTER or ATTRIBUTES, and why; `at` is the position in `text` that a caret points at."""
    start = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    line, column = text[start : end if end >= 0 else len(text)], at - start
    first = max(column - _SHOWN, 0)
    before, after = "…" if first else "", "…" if column + _SHOWN < len(line) else ""
    shown = before + line[first : column + _SHOWN] + after
    # A tab before the place moves the caret as far as the text.
    margin = "".join("\t" if character == "\t" else " " for character in before + line[first:column])
    number = text.count("\n", 0, at) + 1
    place = f"line {number}, character {column + 1}" if "\n" in text else f"character {at + 1}"
    return InvalidInput(f"{what} at {place}: {why}.\n{shown}\n{margin}^")
