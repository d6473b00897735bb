"""Many ids sought in many bytes at once, whatever the bytes are: logs, reports, dumps, files of arrays.

A few ids are sought one by one. Of many, every window of the text that is as long as an id is hashed (a polynomial over its bytes, modulo 2^64, which numpy gets
for all windows from one running sum); what a small table of the ids' hashes lets through is compared byte by byte. The
cost is that of the text times the number of different lengths (20 MB a second each), whether it is a hundred or a million.

An id of 12 bytes or more is found wherever it stands. A shorter one, "7" or "anna", is found where it stands by itself:
between quotes, tags, commas or ends of lines; anywhere else it may be part of a date or a word, and says nothing of anyone.
"""

from __future__ import annotations

import html
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

DISTINCTIVE = 12
"""Bytes from which on an id is looked for anywhere."""
FEW = 32
"""Up to so many, one search each costs less."""
DELIMITERS = frozenset(b"'\"<>&;,=|\\\t\r\n\0")
BLACK = b"x"
"""What an id is overwritten with, byte by byte, so that nothing around it moves."""

_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 2**64)


class Matcher:
    """Finds the ids that it was made of; a plain one and each way in which JSON, HTML, Python or a URL writes it."""

    def __init__(self, ids: Iterable[str]) -> None:
        by_length: dict[int, set[bytes]] = defaultdict(set)
        for one in ids:
            for written in _writings(one):
                by_length[len(written)].add(written)
        self._lengths = [(length, known, _table(known, length)) for length, known in sorted(by_length.items())]
        self.longest = max(by_length, default=0)

    def find(self, data: bytes) -> list[tuple[int, int]]:
        """Where ids stand in `data`: (start, end) in order, overlapping ones merged."""
        if not data or not self._lengths:
            return []
        starts = self._few(data) if sum(len(known) for _, known, _ in self._lengths) <= FEW else self._many(data)
        return _merged(sorted(span for span in starts if _stands_alone(data, *span)))

    def _few(self, data: bytes) -> Iterator[tuple[int, int]]:
        for length, known, _ in self._lengths:
            for one in known:
                start = data.find(one)
                while start >= 0:
                    yield start, start + length
                    start = data.find(one, start + 1)

    def _many(self, data: bytes) -> Iterator[tuple[int, int]]:
        sums, unwind = _running_sums(data)
        for length, known, (table, shift) in self._lengths:
            if length <= len(data):
                hashes = (sums[length:] - sums[:-length]) * unwind[: len(sums) - length]
                for start in np.flatnonzero(table[hashes >> shift]).tolist():
                    if data[start : start + length] in known:
                        yield start, start + length

    def black_out(self, data: bytes) -> tuple[bytes, int]:
        """`data` with every id overwritten, and how many there were."""
        spans = self.find(data)
        if not spans:
            return data, 0
        changed = bytearray(data)
        for start, end in spans:
            changed[start:end] = BLACK * (end - start)
        return bytes(changed), len(spans)


def _writings(one: str) -> set[bytes]:
    written = {one, html.escape(one), repr(one)[1:-1], quote(one), quote(one, safe="")}
    written |= {json.dumps(one)[1:-1], json.dumps(one, ensure_ascii=False)[1:-1]}
    written |= {json.dumps(text)[1:-1] for text in tuple(written)}
    return {text.encode("utf-8", "surrogatepass") for text in written if text}


def _running_sums(data: bytes) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """(n + 1) sums of data[i] * base^i, and base^-i, all modulo 2^64."""
    size = len(data)
    powers = np.full(size, _BASE, np.uint64)
    unwind = np.full(size + 1, _INVERSE, np.uint64)
    powers[0] = unwind[0] = 1
    np.cumprod(powers, out=powers)
    np.cumprod(unwind, out=unwind)
    # A byte counts one more than its value, so that leading zero bytes make a difference.
    powers *= np.frombuffer(data, np.uint8).astype(np.uint64) + np.uint64(1)
    sums = np.zeros(size + 1, np.uint64)
    np.cumsum(powers, out=sums[1:])
    return sums, unwind


def _table(known: Collection[bytes], length: int) -> tuple[NDArray[np.bool_], np.uint64]:
    """Whether an id's hash begins with some bits, and how far to shift a hash for those; about 16 places an id."""
    bits = max(16, (16 * len(known)).bit_length())
    shift = np.uint64(64 - bits)
    columns = np.frombuffer(b"".join(known), np.uint8).reshape(len(known), length).T
    hashes, power = np.zeros(len(known), np.uint64), 1
    for column in columns:
        hashes += (column.astype(np.uint64) + np.uint64(1)) * np.uint64(power)
        power = power * _BASE % 2**64
    table = np.zeros(1 << bits, np.bool_)
    table[hashes >> shift] = True
    return table, shift


def _stands_alone(data: bytes, start: int, end: int) -> bool:
    if end - start >= DISTINCTIVE:
        return True
    return (start == 0 or data[start - 1] in DELIMITERS) and (end == len(data) or data[end] in DELIMITERS)


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
