"""The import's own path without registry and Airflow: what the stages `import` and `validate` at the root run."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.datasets import building, movielens, streamed
from pipelines.datasets.errors import ImportRefused
from pipelines.datasets.profile import Profile
from pipelines.datasets.schema import DatasetType, read_schema
from pipelines.datasets.source import SourceFile
from pipelines.disk import replacing

log = logging.getLogger(__name__)

NAME = "example"
DATASET_TYPES: tuple[DatasetType, ...] = ("INTERACTIONS", "ITEMS", "USERS")


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


def make_inputs(source: Path, inputs: Path, imported: Path) -> None:
    """Import MovieLens-100K's CSV files in `source`: snapshots into `inputs`, their profiles into `imported`."""
    profiles = {}
    for kind in DATASET_TYPES:
        with replacing(inputs / kind.lower()) as directory:
            profiles[kind] = build_snapshot(source / movielens.FILES[kind], movielens.SCHEMAS[kind], kind, directory)
        log.info("%s: %d rows", kind.lower(), profiles[kind].row["rows"])
    with replacing(imported) as directory:
        directory.mkdir()
        for kind, profile in profiles.items():
            profile.save(directory / f"{kind.lower()}.json")
    with replacing(inputs / "streamed") as directory:
        for kind in profiles:
            streamed.write_empty(read_schema(movielens.SCHEMAS[kind], kind), directory / f"{kind.lower()}.parquet")


def validate(imported: Path, validated: Path) -> None:
    """Judge the profiles in `imported`: a report each in `validated`; raises ImportRefused."""
    with replacing(validated) as directory:
        directory.mkdir()
        for kind, schema in movielens.SCHEMAS.items():
            name = kind.lower()
            validate_snapshot(Profile.load(imported / f"{name}.json"), schema, directory / f"{name}.html")
            log.info("%s: all critical rules hold", name)
