"""From CSV files to a snapshot and its profile, and from the profile to a verdict: the one path of every import.

The import DAG (pipelines.datasets.importing) and the example stages (pipelines.datasets.example) both come
through here; nothing in it knows the registry.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.datasets import reading, rejects, writing
from pipelines.datasets.profile import Profile, measure
from pipelines.datasets.scan import scan_all
from pipelines.datasets.schema import Schema
from pipelines.datasets.snapshot import Snapshot
from pipelines.datasets.source import SourceFile
from pipelines.disk import require_disk

if TYPE_CHECKING:
    from data_checks.judge import Verdict

# Beside the CSV itself: what DuckDB may spill, the new part, its copies in DVC's cache and remote.
DISK_FACTOR = 2
MAX_REASON = 2_000


@dataclass(frozen=True)
class Place:
    """Where one import puts what."""

    work: Path
    """Scratch; may be deleted afterwards."""
    snapshot: Path
    """The new snapshot; must not exist yet."""
    rejects: Path
    """rejects.parquet."""


def build(
    files: Sequence[SourceFile],
    schema: Schema,
    place: Place,
    *,
    name: str,
    title: str,
    previous: Snapshot | None = None,
    incremental: bool = False,
    as_of: float | None = None,
    after: int = 0,
) -> Profile:
    """Read `files`, write the snapshot that follows `previous`, and profile what came in.

    `name` names the new files, `title` is what the report is called; `as_of` is the moment (epoch seconds) after which
    a timestamp lies in the future; `after` as in snapshot.Part. Raises ImportRefused when the files can't be read as a whole.
    """
    mended = place.work / "mended"
    mended.mkdir(parents=True, exist_ok=True)
    require_disk(place.work, DISK_FACTOR * sum(file.size for file in files))
    scans = scan_all(files, mended)
    connection = reading.open_database(place.work / "spill")
    try:
        read = reading.read(connection, scans, schema, place.rejects)
        written = writing.write(
            connection, schema, previous, incremental=incremental, name=name, directory=place.snapshot, after=after
        )
        return measure(connection, schema, read, written, name=title, as_of=as_of)
    finally:
        connection.close()
        shutil.rmtree(mended, ignore_errors=True)
        shutil.rmtree(place.work / "spill", ignore_errors=True)


def check(profile: Profile, schema: Schema, report: Path, rejects_path: Path | None = None) -> Verdict:
    """Judge a profile with Great Expectations and write the report; imports GX (six CPU seconds)."""
    from data_checks.judge import judge, rules_for
    from data_checks.report import render

    verdict = judge(profile.row, rules_for(schema))
    samples = rejects.samples(rejects_path) if rejects_path is not None and rejects_path.is_file() else []
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(render(profile, verdict, samples), encoding="utf-8")
    return verdict


def reason(profile: Profile, verdict: Verdict) -> str:
    """Why the import fails, with rule, count, bound and the first bad lines: the job's failureReason."""
    parts = [f"{outcome}. {outcome.rule.meaning}" for outcome in verdict.failures]
    row = profile.row
    if row["rejected"]:
        parts.append(f"{row['rejected']:,} of {row['records']:,} rows were rejected:")
        parts.append("; ".join(f"{group.rows:,} x {group.first}" for group in profile.rejects[:3]) + ".")
    if row["duplicates"]:
        parts.append(f"{row['duplicates']:,} rows repeated others.")
    return shortened(" ".join(parts))


def shortened(text: str) -> str:
    """A reason that a describe answer can carry."""
    return text if len(text) <= MAX_REASON else text[: MAX_REASON - 1] + "…"
