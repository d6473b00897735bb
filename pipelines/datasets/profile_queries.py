"""What the parts of a profile share: the part that is measured, and what a measurement gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.datasets.schema import Schema
from pipelines.datasets.snapshot import Snapshot
from pipelines.datasets.values import MOMENTS, quoted, text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Row = Mapping[str, float | int | None]
EXAMPLES = 5
DAY = 86_400
MAX_BARS = 75
# A minute to a year: what a bar of a drawing over time may stand for.
SPANS = [60, 300, 900, 3_600, 3 * 3_600, 6 * 3_600, 12 * 3_600, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 91 * DAY, 365 * DAY, 3_650 * DAY, 36_500 * DAY]  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """A distribution: labels with counts, in the order in which they are drawn."""

    key: str
    """The same in every import: what it is compared with is found by it. `column:<name>` for a field's values."""
    title: str
    unit: str
    """What is counted."""
    bars: list[tuple[str, int]]


@dataclass
class Numbers:
    """What one measurement adds to a profile."""

    row: dict[str, float | int | None] = field(default_factory=dict)
    shapes: list[Shape] = field(default_factory=list)
    examples: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """The part that an import wrote, as view `part`; its ids as views, see `ids`."""

    connection: DuckDBPyConnection
    schema: Schema
    path: Path
    rows: int
    snapshot: Snapshot

    def __post_init__(self) -> None:
        self.connection.execute(f"CREATE OR REPLACE VIEW part AS FROM read_parquet({text(str(self.path))})")
        for column in self.schema.id_columns:
            self.connection.execute(f"CREATE OR REPLACE VIEW {ids(column)} AS {_dictionary(self.snapshot, column)}")

    def select(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of an answer: only for queries with few."""
        return self.connection.execute(query).fetchall()

    def one(self, query: str) -> tuple[Any, ...]:
        """The only row of an answer."""
        [row] = self.select(query)
        return row

    def names(self, column: str, codes: Iterable[int]) -> dict[int, str]:
        """The ids that a few codes stand for."""
        wanted = ", ".join(str(code) for code in codes)
        return dict(self.select(f"SELECT code, id FROM {ids(column)} WHERE code IN ({wanted})")) if wanted else {}

    def cells(self, column: str, condition: str, order: str) -> list[str]:
        """The first values of a column that fulfil a condition, each with the ids of its row: `-5.0 (item i7)`."""
        keys, name = self.schema.id_columns, quoted(column)
        codes = ", ".join(quoted(key) for key in keys)
        found = self.select(
            f"SELECT {shown(column)}, {codes} FROM part WHERE {condition} ORDER BY {name} {order}, {codes} LIMIT {EXAMPLES}"
        )
        names = [self.names(key, {row[n + 1] for row in found}) for n, key in enumerate(keys)]
        words = [key.removesuffix("_ID").lower() for key in keys]
        return [
            f"{row[0]} ({', '.join(f'{word} {name[code]}' for word, name, code in zip(words, names, row[1:], strict=True))})"
            for row in found
        ]


def shown(column: str) -> str:
    """SQL: a value as a person reads it; a time as seconds and as a date."""
    name = quoted(column)
    if column not in MOMENTS:
        return f"{name}::VARCHAR"
    # TRY: years beyond those that a date can have.
    return (
        f"{name}::VARCHAR || COALESCE(' = ' || TRY(strftime(make_timestamp({name} * 1000000), '%Y-%m-%d %H:%M')), '')"
    )


def ids(column: str) -> str:
    """The view of an id column's dictionary (id, code); with a space, as no field of a schema can be called."""
    return quoted(f"ids {column}")


def _dictionary(snapshot: Snapshot, column: str) -> str:
    queries, size = ["SELECT NULL::VARCHAR AS id, NULL::BIGINT AS code WHERE false"], 0
    for segment in snapshot.manifest.dictionaries.get(column, ()):
        path = text(str(snapshot.directory / segment.path))
        queries.append(f"SELECT id, file_row_number + {size} FROM read_parquet({path}, file_row_number = true)")
        size += segment.rows
    return " UNION ALL ".join(queries)


def share(part: float, whole: float) -> float:
    """0 of nothing."""
    return part / whole if whole else 0.0


def over_time(counts: Sequence[tuple[int, int]], key: str, title: str, unit: str) -> list[Shape]:
    """A drawing of (epoch seconds, rows), sorted; bars of a length that a person can name, empty ones included."""
    if not counts:
        return []
    first, last = counts[0][0], counts[-1][0]
    span = next(span for span in SPANS if (last // span) - (first // span) < MAX_BARS or span == SPANS[-1])
    bars = dict.fromkeys(range(first // span, last // span + 1), 0)
    for seconds, rows in counts:
        bars[seconds // span] += rows
    labelled = [(moment(bin * span, span), rows) for bin, rows in bars.items()]
    return [Shape(key, f"{title} (UTC; a bar is {_length(span)})", unit, labelled)]


def moment(seconds: int, span: int) -> str:
    """A time as a person reads it, as exact as bars of `span` seconds need."""
    try:
        found = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return f"{seconds:,} s"
    return f"{found:%Y-%m-%d}" if span >= DAY else f"{found:%Y-%m-%d %H:%M}"


def _length(span: int) -> str:
    for size, word in ((365 * DAY, "year"), (30 * DAY, "month"), (7 * DAY, "week"), (DAY, "day"), (3_600, "hour")):
        if span >= size:
            return f"{round(span / size)} {word}{'s' if round(span / size) > 1 else ''}"
    return f"{span // 60} minute{'s' if span > 60 else ''}"
