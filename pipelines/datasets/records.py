"""Where each record of a CSV file with quotes begins and ends, line by line: for the cases a reader tells badly.

Most files never come here. It is asked when a file has quotes and something is odd: a blank line that may lie
inside a quoted text, a rejected record that may span lines, lines that the reader lost. Above all it finds the
quote that is never closed, which makes a reader swallow the rows behind it without a word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

UNQUOTED = re.compile(rb"[^,\r\n]*")
OPENING = re.compile(rb' *"')
CLOSING = re.compile(rb" *(,|\r?\n?$)")
BODY = {
    '"': re.compile(rb'(?:[^"]|"")*'),
    "\\": re.compile(rb'(?:[^"\\]|\\.)*', re.DOTALL),
}


@dataclass(frozen=True)
class UnclosedQuote:
    """A quote that opens a value on one line and isn't closed as it should be."""

    line: int
    """1-based line of the opening quote."""
    until: int | None
    """1-based line of the quote that ended the value by accident; None: the file ended first."""


@dataclass
class Records:
    """How the physical lines of a file form records."""

    blank_lines: list[int] = field(default_factory=list)
    """0-based lines that are empty and don't lie inside a quoted value."""
    spans: dict[int, int] = field(default_factory=dict)
    """0-based first line -> number of lines, of the records that take more than one."""
    malformed: int = 0
    """Lines with text behind a closing quote."""
    unclosed: UnclosedQuote | None = None


def walk(path: Path, escape: str) -> Records:
    """Read the file line by line as the reader would, and stop at the first unclosed quote."""
    records = Records()
    body = BODY[escape]
    started = 0
    quoted = False
    with path.open("rb") as stream:
        for number, line in enumerate(stream):
            if not quoted:
                started = number
                if b'"' not in line:
                    if line in (b"\n", b"\r\n"):
                        records.blank_lines.append(number)
                    continue
            quoted, sound = _line(line, body, quoted)
            records.malformed += not sound
            if not quoted and number > started:
                records.spans[started] = number - started + 1
                if not sound:
                    records.unclosed = UnclosedQuote(started + 1, number + 1)
                    return records
    if quoted:
        records.unclosed = UnclosedQuote(started + 1, None)
    return records


def _line(line: bytes, body: re.Pattern[bytes], quoted: bool) -> tuple[bool, bool]:
    """Whether a quoted value is open at the end of the line, and whether every value in it was well formed."""
    at = 0
    while True:
        if not quoted:
            opening = OPENING.match(line, at)
            if opening is None:
                at = _end(UNQUOTED, line, at)
                if line[at : at + 1] != b",":
                    return False, True
                at += 1
                continue
            at = opening.end()
        at = _end(body, line, at)
        if at >= len(line):
            return True, True
        closing = CLOSING.match(line, at + 1)
        if closing is None:
            return False, False
        quoted = False
        if closing.group(1) != b",":
            return False, True
        at = closing.end()


def _end(pattern: re.Pattern[bytes], line: bytes, at: int) -> int:
    found = pattern.match(line, at)
    return found.end() if found else at
