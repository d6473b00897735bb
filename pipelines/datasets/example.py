"""The import's own path without registry and Airflow: what the stages `import` and `validate` at the root run."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.datasets import building
from pipelines.datasets.errors import ImportRefused
from pipelines.datasets.profile import Profile
from pipelines.datasets.schema import DatasetType, read_schema
from pipelines.datasets.source import SourceFile

NAME = "example"


def build_snapshot(csv: Path, schema: Mapping[str, Any], dataset_type: DatasetType, out_dir: Path) -> Profile:
    """Import one CSV file into a first snapshot at `out_dir`, which must not exist yet; raises ImportRefused."""
    with tempfile.TemporaryDirectory(prefix="op-import-") as scratch:
        work = Path(scratch)
        return building.build(
            [SourceFile(csv.name, csv, csv.stat().st_size)],
            read_schema(schema, dataset_type),
            building.Place(work, out_dir, work / "rejects.parquet"),
            name=NAME,
            title=csv.name,
        )


def validate_snapshot(
    profile: Profile, schema: Mapping[str, Any], report_path: Path, rejects_path: Path | None = None
) -> None:
    """Write the report of a profile; raises ImportRefused when a critical rule is broken."""
    verdict = building.check(profile, read_schema(schema, profile.dataset_type), report_path, rejects_path)
    if not verdict.passed:
        raise ImportRefused(building.reason(profile, verdict))
