"""What an import looks like in one row of numbers, for Great Expectations to judge and the report to draw.

DuckDB counts, each column read once or twice: 25M interactions take some five CPU seconds (tests/bench). `row` is
flat (name -> number, None: cannot be said), so that a rule is one column and its bounds; `examples` are what a person
looks at when a number is out of bounds; `shapes` are the distributions; `before` is the import it is compared with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.datasets import drift, profile_columns, profile_events, profile_records, rejects
from pipelines.datasets.profile_queries import Part, Row, Shape, share
from pipelines.datasets.reading import Reading
from pipelines.datasets.schema import DatasetType, Schema
from pipelines.datasets.snapshot import Snapshot
from pipelines.datasets.writing import Written

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class Summary:
    """What is kept of an import to compare the next one with, and for statistics: no ids of anybody."""

    name: str
    row: Row
    shapes: list[Shape]

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Summary:
        """From `asdict`'s document."""
        shapes = [
            Shape(**{**shape, "bars": [(label, n) for label, n in shape["bars"]]}) for shape in document["shapes"]
        ]
        return cls(document["name"], document["row"], shapes)


@dataclass(frozen=True)
class Surroundings:
    """What an import is held against."""

    known: Mapping[str, pa.Array] = field(default_factory=dict)
    """Ids of the group's items (users, actions), by column; no entry: the group has no such data."""
    previous: Snapshot | None = None
    """The dataset's snapshot so far."""
    before: Summary | None = None
    """The dataset's last import."""
    incremental: bool = False
    as_of: float | None = None
    """What counts as now, epoch seconds; None: nothing is the future."""


@dataclass(frozen=True)
class Profile:
    """One import, measured."""

    dataset_type: DatasetType
    name: str
    """What was imported, for the report's title."""
    row: Row
    columns: list[profile_columns.Column] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)
    rejects: list[rejects.Group] = field(default_factory=list)
    examples: Mapping[str, list[str]] = field(default_factory=dict)
    """By the number in `row` that they explain."""
    before: Summary | None = None

    @property
    def summary(self) -> Summary:
        return Summary(self.name, self.row, self.shapes)

    def save(self, path: Path) -> None:
        """Byte-stable JSON."""
        path.write_text(json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Profile:
        """Read what `save` wrote."""
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        before, own = document["before"], Summary.read(document)
        return cls(
            dataset_type=document["dataset_type"],
            name=own.name,
            row=own.row,
            columns=[profile_columns.Column(**column) for column in document["columns"]],
            shapes=own.shapes,
            rejects=[
                rejects.Group(g["column"], g["reason"], g["rows"], rejects.Sample(**g["first"]))
                for g in document["rejects"]
            ],
            examples=document["examples"],
            before=Summary.read(before) if before is not None else None,
        )


def measure(
    connection: DuckDBPyConnection,
    schema: Schema,
    reading: Reading,
    written: Written,
    *,
    name: str,
    around: Surroundings | None = None,
) -> Profile:
    """Profile the part that an import wrote."""
    around = around or Surroundings()
    part = Part(connection, schema, written.part, written.rows, written.snapshot)
    row: dict[str, float | int | None] = {
        "rows": written.rows,
        "full": int(not around.incremental),
        "records": reading.records,
        "rejected": reading.rejected,
        "rejected_share": share(reading.rejected, reading.records),
        "duplicates": written.duplicates,
        "duplicate_share": share(written.duplicates, reading.kept),
        "too_long_categories": reading.too_long_categories,
    }
    columns = profile_columns.measure(part)
    numbers = (
        profile_events.measure(part, around)
        if schema.is_event_log
        else profile_records.measure(part, around, written.duplicates)
    )
    row |= columns.numbers.row | numbers.row
    shapes = [*numbers.shapes, *columns.numbers.shapes]
    changes = drift.against(around.before, row, shapes)
    row |= changes.row
    examples = columns.numbers.examples | numbers.examples | changes.examples
    examples = {number: lines for number, lines in examples.items() if lines}
    return Profile(
        schema.dataset_type, name, row, columns.columns, shapes, rejects.groups(connection), examples, around.before
    )
