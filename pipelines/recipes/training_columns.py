"""Which columns a solution's trainings learn from: trainingDataConfig (spec/training.md section 1), read once.

A solution learns from the columns that its datasets had when it was created, less those that trainingDataConfig
excludes, or only from those that it includes. What a row cannot be without, and the columns that choose which rows train
(EVENT_TYPE, EVENT_VALUE), are there whatever is included. Excluded columns still serve filters and metadata.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipelines.datasets.schema import EVENT_TYPE, EVENT_VALUE, REQUIRED_COLUMNS, DatasetType

DATASET_TYPES: tuple[DatasetType, ...] = ("INTERACTIONS", "ITEMS", "USERS")
CHOOSES_ROWS = (EVENT_TYPE, EVENT_VALUE)


class ColumnError(ValueError):
    """A column or dataset cannot be excluded or included; the message begins with the member. Becomes InvalidInput."""


def training_columns(there: Mapping[str, Sequence[str]], config: Mapping[str, Any]) -> dict[str, list[str]]:
    """By dataset type the columns that are used, of those that are `there`; all of a type that is missing.

    `config` is `solutionConfig`. Raises ColumnError.
    """
    given = config.get("trainingDataConfig") or {}
    excluded = dict(_named(there, given, "excludedDatasetColumns"))
    included = dict(_named(there, given, "includedDatasetColumns"))
    for kind in excluded.keys() & included.keys():
        raise ColumnError(f"excludedDatasetColumns: {kind} has includedDatasetColumns too; give one of them.")
    for kind, columns in excluded.items():
        _check_excluded(kind, columns, config)
    used: dict[str, list[str]] = {}
    for kind in DATASET_TYPES:
        if kind in there:
            kept = {*included.get(kind, there[kind]), *REQUIRED_COLUMNS[kind], *CHOOSES_ROWS} - set(
                excluded.get(kind, ())
            )
            used[kind] = [name for name in there[kind] if name in kept]
    return used


def _named(
    there: Mapping[str, Sequence[str]], given: Mapping[str, Mapping[str, list[str]]], member: str
) -> Iterator[tuple[DatasetType, list[str]]]:
    """Dataset types may be written in any case, as in CreateDataset."""
    seen = set()
    for name, columns in (given.get(member) or {}).items():
        kind = next((kind for kind in DATASET_TYPES if kind == name.upper()), None)
        if kind is None:
            raise ColumnError(f"{member}: {name!r} is not one of {', '.join(DATASET_TYPES)}.")
        if kind in seen:
            raise ColumnError(f"{member}: {kind} is given twice.")
        if kind not in there:
            raise ColumnError(f"{member}: the dataset group has no {kind} dataset.")
        unknown = [column for column in columns if column not in there[kind]]
        if unknown:
            raise ColumnError(
                f"{member}.{name}: {unknown[0]!r} is not a column of the {kind} dataset; it has {', '.join(there[kind])}."
            )
        seen.add(kind)
        yield kind, columns


def _check_excluded(kind: DatasetType, columns: Sequence[str], config: Mapping[str, Any]) -> None:
    required = [*REQUIRED_COLUMNS[kind], EVENT_TYPE]
    for column in columns:
        if column in required:
            raise ColumnError(f"excludedDatasetColumns.{kind}: {column} cannot be excluded; training needs it.")
        if column == EVENT_VALUE and config.get("eventValueThreshold"):
            raise ColumnError(
                f"excludedDatasetColumns.{kind}: {column} cannot be excluded; eventValueThreshold needs it."
            )
