"""What an import looks like in one row of numbers, for Great Expectations to judge and the report to draw.

DuckDB counts; nobody looks at single rows again. `row` is flat (name -> number), so that a rule is one column
and its bounds; `shapes` are the distributions, `columns` the fields one by one, `rejects` the groups of rejected rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.datasets import rejects
from pipelines.datasets.reading import Reading
from pipelines.datasets.schema import EVENT_TYPE, ITEM_ID, TIMESTAMP, USER_ID, DatasetType, Field, Schema
from pipelines.datasets.values import quoted, text
from pipelines.datasets.writing import Written

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TIME_BINS = 48
SHOWN_VALUES = 15
SHOWN_COLUMNS = 8
DAY = 86_400


@dataclass(frozen=True)
class Shape:
    """A distribution: labels with counts, in the order in which they are drawn."""

    title: str
    unit: str
    """What is counted."""
    bars: list[tuple[str, int]]


@dataclass(frozen=True)
class Column:
    """A field as the data fills it."""

    name: str
    kind: str
    """The Avro type, with categorical, textual or nullable."""
    filled: float
    """Share of rows with a value."""
    distinct: int
    """About how many different values."""
    smallest: str | None
    largest: str | None


@dataclass(frozen=True)
class Profile:
    """One import, measured."""

    dataset_type: DatasetType
    name: str
    """What was imported, for the report's title."""
    row: Mapping[str, float | int | None]
    columns: list[Column] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)
    rejects: list[rejects.Group] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Byte-stable JSON."""
        path.write_text(json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Profile:
        """Read what `save` wrote."""
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            dataset_type=document["dataset_type"],
            name=document["name"],
            row=document["row"],
            columns=[Column(**column) for column in document["columns"]],
            shapes=[Shape(s["title"], s["unit"], [(label, n) for label, n in s["bars"]]) for s in document["shapes"]],
            rejects=[
                rejects.Group(g["column"], g["reason"], g["rows"], rejects.Sample(**g["first"]))
                for g in document["rejects"]
            ],
        )


def measure(
    connection: DuckDBPyConnection,
    schema: Schema,
    reading: Reading,
    written: Written,
    *,
    name: str,
    as_of: float | None,
) -> Profile:
    """Profile the part that an import wrote; `as_of` (epoch seconds) is what counts as now, None: nothing is the future."""
    connection.execute(f"CREATE OR REPLACE VIEW part AS FROM read_parquet({text(str(written.part))})")
    row: dict[str, float | int | None] = {
        "rows": written.rows,
        "records": reading.records,
        "rejected": reading.rejected,
        "rejected_share": _share(reading.rejected, reading.records),
        "duplicates": written.duplicates,
        "duplicate_share": _share(written.duplicates, reading.kept),
        "too_long_categories": reading.too_long_categories,
    }
    columns = [_column(connection, f, written.rows) for f in schema.metadata]
    row |= {f"filled:{column.name}": column.filled for column in columns}
    if schema.dataset_type == "INTERACTIONS":
        row |= _interaction_numbers(connection, schema, as_of)
        shapes = _interaction_shapes(connection, schema) if written.rows else []
    else:
        row |= {f"categories:{f.name}": _categories(connection, f) for f in schema.fields if f.categorical}
        shapes = _metadata_shapes(connection, schema) if written.rows else []
    return Profile(schema.dataset_type, name, row, columns, shapes, rejects.groups(connection))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _rows(connection: DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query).fetchall()


def _column(connection: DuckDBPyConnection, field: Field, rows: int) -> Column:
    name = quoted(field.name)
    [(filled, distinct, smallest, largest)] = _rows(
        connection,
        f"SELECT count({name}), approx_count_distinct({name}), left(min({name})::VARCHAR, 40), left(max({name})::VARCHAR, 40) FROM part",
    )
    marks = [word for word, on in (("categorical", field.categorical), ("textual", field.textual)) if on]
    kind = " ".join([field.avro, *marks, *(["nullable"] if field.nullable else [])])
    return Column(field.name, kind, _share(filled, rows), int(distinct), smallest, largest)


def _interaction_numbers(
    connection: DuckDBPyConnection, schema: Schema, as_of: float | None
) -> dict[str, float | int | None]:
    late = f"count(*) FILTER ({TIMESTAMP} > {int(as_of) + DAY})" if as_of is not None else "0"
    types = f"count(DISTINCT {EVENT_TYPE})" if EVENT_TYPE in schema.names else "0"
    [(rows, first, last, future, event_types)] = _rows(
        connection, f"SELECT count(*), min({TIMESTAMP}), max({TIMESTAMP}), {late}, {types} FROM part"
    )
    [(users, returning, busiest)] = _rows(
        connection,
        f"SELECT count(*), count(*) FILTER (n >= 2), max(n) FROM (SELECT {USER_ID}, count(*) AS n FROM part GROUP BY ALL)",
    )
    [(items, hottest)] = _rows(
        connection, f"SELECT count(*), max(n) FROM (SELECT {ITEM_ID}, count(*) AS n FROM part GROUP BY ALL)"
    )
    return {
        "users": users,
        "items": items,
        "returning_users": returning,
        "returning_share": _share(returning, users),
        "top_user_share": _share(busiest or 0, rows),
        "top_item_share": _share(hottest or 0, rows),
        "first_timestamp": first,
        "last_timestamp": last,
        "seconds_covered": (last - first) if rows else 0,
        "future_share": _share(future, rows),
        "event_types": event_types,
    }


def _interaction_shapes(connection: DuckDBPyConnection, schema: Schema) -> list[Shape]:
    shapes = [
        _over_time(connection),
        _lengths(connection, USER_ID, "Interactions per user", "users"),
        _lengths(connection, ITEM_ID, "Interactions per item", "items"),
    ]
    if EVENT_TYPE in schema.names:
        shapes.append(_values(connection, EVENT_TYPE, split=False))
    return shapes + _metadata_shapes(connection, schema, without={TIMESTAMP, EVENT_TYPE})


def _over_time(connection: DuckDBPyConnection) -> Shape:
    found = _rows(
        connection,
        f"WITH moments AS (SELECT {TIMESTAMP} FROM part), "
        f"bounds AS (SELECT min({TIMESTAMP}) AS low, greatest(max({TIMESTAMP}) - min({TIMESTAMP}) + 1, 1) AS width FROM moments), "
        f"counted AS (SELECT (({TIMESTAMP} - low)::HUGEINT * {TIME_BINS} // width)::INTEGER AS bin, count(*) AS n FROM moments, bounds GROUP BY 1) "
        f"SELECT strftime(make_timestamp(((low + width::HUGEINT * bin.b // {TIME_BINS}) * 1000000)::BIGINT), '%Y-%m-%d %H:%M'), COALESCE(n, 0) "
        f"FROM bounds, range({TIME_BINS}) bin(b) LEFT JOIN counted ON counted.bin = b ORDER BY b",
    )
    return Shape("Interactions over time (UTC)", "interactions", [(label, int(n)) for label, n in found])


def _lengths(connection: DuckDBPyConnection, column: str, title: str, unit: str) -> Shape:
    """How many users (items) have 1, 2-3, 4-7, 8-15, … interactions."""
    found = _rows(
        connection,
        f"SELECT floor(log2(n))::INTEGER AS bin, count(*) FROM (SELECT count(*) AS n FROM part GROUP BY {column}) GROUP BY 1 ORDER BY 1",
    )
    bars = [("1" if b == 0 else f"{1 << b:,}-{(1 << (b + 1)) - 1:,}", int(n)) for b, n in found]
    return Shape(title, unit, bars)


def _metadata_shapes(connection: DuckDBPyConnection, schema: Schema, without: set[str] | None = None) -> list[Shape]:
    """The first few columns that a drawing can show."""
    shapes: list[Shape] = []
    for f in schema.metadata:
        if f.name in (without or set()) or f.textual or len(shapes) == SHOWN_COLUMNS:
            continue
        if f.categorical or f.avro == "boolean":
            shapes.append(_values(connection, f.name, split=f.categorical))
        elif f.avro != "string":
            shapes.append(_numbers(connection, f.name))
    return [shape for shape in shapes if shape.bars]


def _values(connection: DuckDBPyConnection, column: str, *, split: bool) -> Shape:
    cell = f"unnest(string_split({quoted(column)}, '|'))" if split else f"{quoted(column)}::VARCHAR"
    found = _rows(
        connection,
        f"SELECT left(v, 60), count(*) AS n FROM (SELECT {cell} AS v FROM part) WHERE v IS NOT NULL "
        f"GROUP BY v ORDER BY n DESC, v LIMIT {SHOWN_VALUES}",
    )
    return Shape(f"{column}: most frequent values", "rows", [(label, int(n)) for label, n in found])


def _numbers(connection: DuckDBPyConnection, column: str) -> Shape:
    found = _rows(
        connection,
        f"WITH cells AS (SELECT {quoted(column)}::DOUBLE AS cell FROM part WHERE {quoted(column)} IS NOT NULL), "
        f"bounds AS (SELECT min(cell) AS low, max(cell) AS high FROM cells) "
        f"SELECT low + (high - low) * bin / 20, count(*) FROM (SELECT low, high, "
        f"CASE WHEN high > low THEN least(floor((cell - low) / (high - low) * 20), 19) ELSE 0 END AS bin "
        f"FROM cells, bounds) GROUP BY ALL ORDER BY 1",
    )
    return Shape(f"{column}: distribution", "rows", [(f"from {low:.6g}", int(n)) for low, n in found])


def _categories(connection: DuckDBPyConnection, field: Field) -> int:
    [(found,)] = _rows(
        connection,
        f"SELECT count(DISTINCT v) FROM (SELECT unnest(string_split({quoted(field.name)}, '|')) AS v FROM part)",
    )
    return int(found)
