"""The files that a batch job reads, in its own folder, so that they stay as they are however long the job runs.

Limits are AWS's (spec/runtime.md section 7).
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pipelines.batch.errors import BatchRefused
from pipelines.datasets.source import SourceFile, fetch
from pipelines.disk import require_disk
from pipelines.settings import Settings

MOST_FILES = 1_000
MOST_BYTES = 1_000_000_000
"""Of all files, unpacked."""
MOST_LINES = 50_000_000
"""Of a file."""
LONGEST_NAME = 255 - len(".out") - len("..part")
"""Bytes of a file's name, so that its output has one."""
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Input:
    """One file, in the job's folder."""

    name: str
    """The last part of what the user calls it."""
    path: str
    lines: int

    @property
    def output(self) -> str:
        """The name of the file that answers it."""
        return f"{self.name}.out"


def bring(settings: Settings, location: str, folder: Path) -> list[Input]:
    """Every file of the location; of a job that goes on, those that it began with.

    Raises BatchRefused, ImportRefused, DiskFull, and SourceUnreachable when trying again may help.
    """
    listing = folder / "inputs.json"
    if not listing.exists():
        shutil.rmtree(folder, ignore_errors=True)
        found = fetch(settings, location, folder)
        _check(found)
        kept = [Input(_name(one), str(_keep(one.path)), _count(one.path)) for one in found]
        _refuse_long(kept)
        new = listing.with_suffix(".new")
        new.write_text(json.dumps([asdict(one) for one in kept]))
        new.replace(listing)
    return [Input(**one) for one in json.loads(listing.read_text())]


def _name(one: SourceFile) -> str:
    return one.name.rpartition("/")[2]


# Unlike AWS, serving: two input files of a batch inference job that have the same name, in different folders, are refused.
# Both would be answered in `<name>.out` of the one output folder.
def _check(found: Sequence[SourceFile]) -> None:
    total = sum(one.size for one in found)
    if len(found) > MOST_FILES:
        raise BatchRefused(f"jobInput.s3DataSource.path: {len(found):,} files; a job takes at most {MOST_FILES:,}.")
    if total > MOST_BYTES:
        raise BatchRefused(f"jobInput.s3DataSource.path: {total:,} bytes; a job takes at most {MOST_BYTES:,} in all.")
    for one in found:
        if len(_name(one).encode()) > LONGEST_NAME:
            raise BatchRefused(
                f"jobInput.s3DataSource.path: the name of {one.name} is too long for that of its output."
            )
    [(name, count), *_] = Counter(map(_name, found)).most_common(1)
    if count > 1:
        same = ", ".join(one.name for one in found if _name(one) == name)
        raise BatchRefused(
            f"jobInput.s3DataSource.path: the files {same} would all be answered in {name}.out; give them other names, "
            "or each folder a job."
        )


def _refuse_long(kept: Sequence[Input]) -> None:
    for one in kept:
        if one.lines > MOST_LINES:
            raise BatchRefused(f"{one.name} has {one.lines:,} lines; a file has at most {MOST_LINES:,}. Split it.")


def _keep(path: Path) -> Path:
    """A file of the server's own is linked by `fetch`, and may be written to by others."""
    if path.is_symlink():
        real = path.resolve()
        require_disk(path.parent, real.stat().st_size)
        path.unlink()
        shutil.copyfile(real, path)
    return path


def _count(path: Path) -> int:
    """Lines, the last one included when it has no newline."""
    lines, last = 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            lines, last = lines + block.count(b"\n"), block[-1:]
    return lines + (last != b"\n")
