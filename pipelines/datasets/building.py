"""From CSV files to a snapshot and its profile, and from the profile to a verdict: the one path of every import.

The import DAG (pipelines.datasets.importing) and the example stages (pipelines.datasets.example) both come
through here; nothing in it knows the registry.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.datasets import reading, rejects, writing
from pipelines.datasets.profile import Profile, Summary, Surroundings, measure
from pipelines.datasets.scan import scan_all
from pipelines.datasets.schema import Schema
from pipelines.datasets.snapshot import Snapshot
from pipelines.datasets.source import SourceFile
from pipelines.disk import require_disk
from pipelines.registry.reasons import shortened

if TYPE_CHECKING:
    import pyarrow as pa

    from data_checks.judge import Verdict
    from pipelines.datasets.deployed import Found

# Beside the CSV itself: what DuckDB may spill, the new part, its copies in DVC's cache and remote.
DISK_FACTOR = 2


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
    known: Mapping[str, pa.Array] | None = None,
    before: Summary | None = None,
) -> Profile:
    """Read `files`, write the snapshot that follows `previous`, and profile what came in.

    `name` names the new files, `title` is what the report is called; `after` as in snapshot.Part; `as_of`, `known` and
    `before` as in profile.Surroundings. Raises ImportRefused when the files can't be read as a whole.
    """
    around = Surroundings(known or {}, previous, before, incremental, as_of)
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
        return measure(connection, schema, read, written, name=title, around=around)
    finally:
        connection.close()
        shutil.rmtree(mended, ignore_errors=True)
        shutil.rmtree(place.work / "spill", ignore_errors=True)


def check(
    profile: Profile,
    schema: Schema,
    report: Path,
    rejects_path: Path | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    about: Mapping[str, str] | None = None,
    deployed: Sequence[Found] = (),
) -> Verdict:
    """Judge a profile with Great Expectations and write the report; imports GX (five CPU seconds).

    `overrides`: how the dataset group has set rules, see data_checks.rules; `about` and `deployed` as in
    data_checks.report.
    """
    from data_checks.judge import judge, rules_for
    from data_checks.report import render

    verdict = judge(profile.row, rules_for(schema, overrides or {}))
    samples = rejects.samples(rejects_path) if rejects_path is not None and rejects_path.is_file() else []
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(render(profile, verdict, samples, about, deployed), encoding="utf-8")
    return verdict


def reason(profile: Profile, verdict: Verdict) -> str:
    """Why the import fails, with rule, count, bound and the first bad lines: the job's failureReason."""
    parts = []
    for outcome in verdict.failures:
        parts.append(f"{outcome}. {outcome.rule.meaning}")
        if outcome.rule.number in profile.examples:
            parts.append(f"First: {'; '.join(profile.examples[outcome.rule.number][:3])}.")
    row = profile.row
    if row["rejected"]:
        parts.append(f"{row['rejected']:,} of {row['records']:,} rows were rejected:")
        parts.append("; ".join(f"{group.rows:,} x {group.first}" for group in profile.rejects[:3]) + ".")
    if row["duplicates"]:
        parts.append(f"{row['duplicates']:,} rows repeated others.")
    return shortened(" ".join(parts))
