"""Ids on disk: one blob of UTF-8 bytes, offsets, and a sorted column of hashes to look one up.

A million Python strings in a dict cost some 130 MB in each worker; this costs their bytes once, in the page cache,
for all workers. A look-up takes about two microseconds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray


class IdTable:
    """The ids of one kind; an id's code is its position."""

    def __init__(self, blob: bytes | memoryview, offsets: NDArray[np.int64], index: NDArray[np.uint32]) -> None:
        """`offsets` (n + 1); `index` (2, n): crc32 of each id, ascending, and whose code it is."""
        self._blob = memoryview(blob)
        # Views: taking one element of a mapped array costs ten times as much.
        self._offsets = np.asarray(offsets).data
        self._hashes, self._codes = (np.ascontiguousarray(row).data for row in index)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def id(self, code: int) -> str:
        """The id at `code`."""
        return str(self._blob[self._offsets[code] : self._offsets[code + 1]], "utf-8")

    def code(self, identifier: str) -> int | None:
        """The code of `identifier`, or None if it is unknown."""
        raw = identifier.encode("utf-8", "surrogatepass")
        hashed = crc32(raw)
        at = bisect_left(self._hashes, hashed)
        while at < len(self) and self._hashes[at] == hashed:
            code = self._codes[at]
            if self._blob[self._offsets[code] : self._offsets[code + 1]] == raw:
                return code
            at += 1
        return None


def write_ids(directory: Path, name: str, ids: Sequence[str]) -> list[str]:
    """Write `<name>_ids.bin`, `<name>_offsets.npy` and `<name>_index.npy`; the names of the files written."""
    raws = [identifier.encode("utf-8") for identifier in ids]
    offsets = np.zeros(len(raws) + 1, np.int64)
    np.cumsum([len(raw) for raw in raws], out=offsets[1:])
    hashes = np.fromiter(map(crc32, raws), np.uint32, len(raws))
    order = np.argsort(hashes, kind="stable")
    files = [f"{name}_ids.bin", f"{name}_offsets.npy", f"{name}_index.npy"]
    (directory / files[0]).write_bytes(b"".join(raws))
    np.save(directory / files[1], offsets)
    np.save(directory / files[2], np.stack([hashes[order], order.astype(np.uint32)]))
    return files


def read_ids(directory: Path, name: str) -> IdTable:
    """Map what `write_ids` wrote."""
    blob = np.memmap(directory / f"{name}_ids.bin", np.uint8, "r") if _size(directory, name) else np.zeros(0, np.uint8)
    return IdTable(
        blob.data,
        np.load(directory / f"{name}_offsets.npy", mmap_mode="r"),
        np.load(directory / f"{name}_index.npy"),
    )


def _size(directory: Path, name: str) -> int:
    # An empty file cannot be mapped.
    return (directory / f"{name}_ids.bin").stat().st_size
