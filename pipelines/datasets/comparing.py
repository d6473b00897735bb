"""Two snapshots of a dataset side by side: what each holds, and how far the second has moved from the first.

Measured as an import is, and held against each other as an import is held against the one before it (drift.py); of
interactions also as new ones are against what a deployed version was trained on (deployed_drift.py): which items are
chosen, and how many rows a day has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.datasets import deployed_drift, drift, profile_columns, profile_events, profile_records
from pipelines.datasets.profile import Summary, Surroundings
from pipelines.datasets.profile_queries import Part, Row
from pipelines.datasets.reading import open_database
from pipelines.datasets.snapshot import Snapshot

DRIFT = "drift:"
NEVER = float(2**62)
"""Epoch seconds: no TIMESTAMP is left out for lying in the future."""
LATELY = ("popularity", "volume")
"""Numbers of deployed_drift that an import does not have."""


@dataclass(frozen=True)
class Moved:
    """What came of it."""

    before: Row
    after: Row
    """Numbers of profile.Profile.row: rows, users, items, first_timestamp, ..."""
    drift: Mapping[str, float]
    """Of what can be compared; by the rules' names less `drift:`, such as new_items or EVENT_TYPE."""
    examples: Mapping[str, list[str]]
    """By the number that they explain; values, never an id."""


def compare(before: Snapshot, after: Snapshot, names: tuple[str, str], work: Path) -> Moved:
    """Both must have rows; `names` are what examples call them. `work` is a folder for what DuckDB spills."""
    first = _summary(before, names[0], work / "before", None)
    second = _summary(after, names[1], work / "after", before)
    found = drift.against(first, second.row, second.shapes)
    row = {**{name: value for name, value in second.row.items() if name.startswith(DRIFT)}, **found.row}
    if after.manifest.dataset_type == "INTERACTIONS":
        row |= _lately(before, after, work / "lately")
    return Moved(
        first.row,
        second.row,
        {name.removeprefix(DRIFT): value for name, value in row.items() if value is not None},
        {name.removeprefix(DRIFT): lines for name, lines in found.examples.items() if lines},
    )


def _lately(before: Snapshot, after: Snapshot, work: Path) -> dict[str, float | int | None]:
    connection = open_database(work)
    try:
        sides = [deployed_drift.Side(connection, (deployed_drift.Origin.of(one),), NEVER) for one in (before, after)]
        found = deployed_drift.compare(*sides).row
    finally:
        connection.close()
    return {f"{DRIFT}{name}": found.get(f"deployed:{name}") for name in LATELY}


def _summary(snapshot: Snapshot, name: str, work: Path, previous: Snapshot | None) -> Summary:
    import pyarrow.parquet as pq

    connection = open_database(work)
    try:
        path = _one_file(snapshot, work)
        part = Part(connection, snapshot.schema, path, pq.read_metadata(path).num_rows, snapshot)
        columns, around = profile_columns.measure(part), Surroundings(previous=previous)
        if snapshot.schema.is_event_log:
            numbers = profile_events.measure(part, around)
        else:
            numbers = profile_records.measure(part, around, 0)
    finally:
        connection.close()
    row = {"rows": part.rows, "full": 1} | columns.numbers.row | numbers.row
    return Summary(name, row, [*numbers.shapes, *columns.numbers.shapes])


def _one_file(snapshot: Snapshot, work: Path) -> Path:
    """The rows as one part has them: what repeats in later parts is there once."""
    import pyarrow.parquet as pq

    [*parts] = snapshot.manifest.parts
    if len(parts) == 1:
        return snapshot.directory / parts[0].path
    merged = work / "merged.parquet"
    pq.write_table(snapshot.table(), merged)
    return merged
