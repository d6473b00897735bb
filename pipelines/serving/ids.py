"""Ids on disk: one blob of UTF-8 bytes, offsets, and a sorted column of hashes to look one up.

A million Python strings in a dict cost some 130 MB in each worker; this costs their bytes once, in the page cache,
for all workers. A look-up takes about a microsecond.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from mmap import ACCESS_READ, mmap
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray


class IdTable:
    """The ids of one kind; an id's code is its position."""

    def __init__(self, blob: bytes | mmap, offsets: NDArray[np.int64], index: NDArray[np.uint32]) -> None:
        """`offsets` (n + 1); `index` (2, n): crc32 of each id, ascending, and whose code it is."""
        self._blob = blob
        # Views: taking one element of a mapped array costs ten times as much.
        self._offsets = np.asarray(offsets).data
        self._hashes, self._codes = (np.ascontiguousarray(row).data for row in index)

    @classmethod
    def of(cls, ids: Sequence[str]) -> IdTable:
        """A table in memory."""
        return cls(*_tabulated(ids))

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def id(self, code: int) -> str:
        """The id at `code`."""
        return self.ids((code,))[0]

    def ids(self, codes: Iterable[int]) -> list[str]:
        """The ids at `codes`."""
        blob, offsets = self._blob, self._offsets
        return [str(blob[offsets[code] : offsets[code + 1]], "utf-8") for code in codes]

    def code(self, identifier: str) -> int | None:
        """The code of `identifier`, or None if it is unknown."""
        raw = _raw(identifier)
        return self._match(raw, bisect_left(self._hashes, crc32(raw)))

    def codes(self, identifiers: Sequence[str]) -> list[int | None]:
        """The code of each of `identifiers`, None for an unknown one."""
        raws = [_raw(identifier) for identifier in identifiers]
        hashed = np.fromiter(map(crc32, raws), np.uint32, len(raws))
        return list(map(self._match, raws, np.searchsorted(self._hashes, hashed).tolist()))

    def _match(self, raw: bytes, at: int) -> int | None:
        """The code of the id `raw` among those with its hash, of which the first is at `at`."""
        blob, offsets, codes = self._blob, self._offsets, self._codes
        for place in range(at, len(codes)):
            code = codes[place]
            if blob[offsets[code] : offsets[code + 1]] == raw:
                return code
            if self._hashes[place] != crc32(raw):
                break
        return None


def _raw(identifier: str) -> bytes:
    return identifier.encode("utf-8", "surrogatepass")


def write_ids(directory: Path, name: str, ids: Sequence[str]) -> list[str]:
    """Write `<name>_ids.bin`, `<name>_offsets.npy` and `<name>_index.npy`; the names of the files written."""
    blob, offsets, index = _tabulated(ids)
    files = [f"{name}_ids.bin", f"{name}_offsets.npy", f"{name}_index.npy"]
    (directory / files[0]).write_bytes(blob)
    np.save(directory / files[1], offsets)
    np.save(directory / files[2], index)
    return files


def _tabulated(ids: Sequence[str]) -> tuple[bytes, NDArray[np.int64], NDArray[np.uint32]]:
    raws = [identifier.encode("utf-8") for identifier in ids]
    offsets = np.zeros(len(raws) + 1, np.int64)
    np.cumsum([len(raw) for raw in raws], out=offsets[1:])
    hashes = np.fromiter(map(crc32, raws), np.uint32, len(raws))
    order = np.argsort(hashes, kind="stable")
    return b"".join(raws), offsets, np.stack([hashes[order], order.astype(np.uint32)])


def read_ids(directory: Path, name: str) -> IdTable:
    """Map what `write_ids` wrote."""
    return IdTable(
        _map(directory / f"{name}_ids.bin"),
        np.load(directory / f"{name}_offsets.npy", mmap_mode="r"),
        np.load(directory / f"{name}_index.npy"),
    )


def _map(path: Path) -> bytes | mmap:
    if not path.stat().st_size:
        return b""  # an empty file cannot be mapped
    with path.open("rb") as file:
        return mmap(file.fileno(), 0, access=ACCESS_READ)
