"""The fields that are not ids, one by one: how far they are filled, their values, and what stands out among them."""

from __future__ import annotations

from dataclasses import dataclass
from math import expm1, log1p
from typing import Any

from pipelines.datasets.profile_queries import Numbers, Part, Shape, moment, over_time, share
from pipelines.datasets.schema import EVENT_TYPE, TIMESTAMP, Field
from pipelines.datasets.values import MAX_IDEOGRAPHIC_TEXT, MAX_TEXT, MOMENTS, quoted, text

KEPT_VALUES = 30
FEW_VALUES = 20
SAMPLE = 100_000
FENCE = 5
"""Interquartile ranges beyond the quartiles, of ln(1 + |x|): a normal distribution has nothing there, prices neither."""
NEVER_NEGATIVE = frozenset({"PRICE", "DURATION", "AVERAGE_RATING", "REPEAT_FREQUENCY"})
RARELY = 0.01


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
class Columns:
    """All of them, and the numbers that rules look at."""

    columns: list[Column]
    numbers: Numbers


def measure(part: Part) -> Columns:
    """One scan for all plain columns, one for each that is counted by its values."""
    numbers = Numbers()
    plain = [field for field in part.schema.metadata if not _by_value(field)]
    facts = _facts(part, plain)
    columns = []
    for field in part.schema.metadata:
        if _by_value(field):
            column = _values(part, field, numbers)
        else:
            column = _column(field, part.rows, facts[field.name])
            _stands_out(part, field, column, facts[field.name], numbers)
        numbers.row[f"filled:{field.name}"] = column.filled
        columns.append(column)
    return Columns(columns, numbers)


def _by_value(field: Field) -> bool:
    """Few different values, by what the field is for."""
    return field.categorical or field.avro == "boolean" or field.name == EVENT_TYPE


def _is_number(field: Field) -> bool:
    return field.avro in ("int", "long", "float", "double") and field.name not in MOMENTS


def _column(field: Field, rows: int, facts: dict[str, Any]) -> Column:
    marks = [word for word, on in (("categorical", field.categorical), ("textual", field.textual)) if on]
    kind = " ".join([field.avro, *marks, *(["nullable"] if field.nullable else [])])
    ends = ["" if facts[end] is None else _end(field, facts[end]) for end in ("smallest", "largest")]
    distinct = min(int(facts["distinct"]), int(facts["filled"]))
    return Column(field.name, kind, share(facts["filled"], rows), distinct, ends[0], ends[1])


def _end(field: Field, value: Any) -> str:
    return (
        moment(value, 1) if field.name in MOMENTS else f"{value:.7g}" if isinstance(value, float) else str(value)[:40]
    )


def _facts(part: Part, fields: list[Field]) -> dict[str, dict[str, Any]]:
    """Of each plain field: filled, distinct, smallest, largest, and by its kind negative or long; one scan."""
    keys = ("filled", "distinct", "smallest", "largest", "negative", "long")
    cells = []
    for field in fields:
        name = quoted(field.name)
        cells += [f"count({name})", f"approx_count_distinct({name})"]
        if field.avro == "string":
            # Whole texts would be carried along only to be cut.
            cells += [f"min(left({name}, 40))", f"max(left({name}, 40))"]
        else:
            cells += [f"min({name})", f"max({name})"]
        cells.append(f"count(*) FILTER ({name} < 0)" if _is_number(field) else "0")
        # The reader has cut longer ones.
        cells.append(
            f"count(*) FILTER (length({name}) IN ({MAX_IDEOGRAPHIC_TEXT}, {MAX_TEXT}))" if field.textual else "0"
        )
    if not cells:
        return {}
    found = part.one(f"SELECT {', '.join(cells)} FROM part")
    size = len(keys)
    return {
        field.name: dict(zip(keys, found[n * size : (n + 1) * size], strict=True)) for n, field in enumerate(fields)
    }


# Values ---------------------------------------------------------------------------------------------


def _values(part: Part, field: Field, numbers: Numbers) -> Column:
    """A field of few values: counted whole, and by category where `|` joins several."""
    name = quoted(field.name)
    part.connection.execute(
        f"CREATE OR REPLACE TEMP TABLE cells AS SELECT {name}::VARCHAR AS cell, count(*) AS n FROM part "
        f"WHERE {name} IS NOT NULL GROUP BY ALL"
    )
    keys = ("filled", "distinct", "smallest", "largest")
    facts = part.one("SELECT COALESCE(sum(n), 0), count(*), min(left(cell, 40)), max(left(cell, 40)) FROM cells")
    column = _column(field, part.rows, dict(zip(keys, facts, strict=True)))
    source = "cells"
    if field.categorical:
        source = "(SELECT unnest(string_split(cell, '|')) AS cell, n FROM cells)"
    total, different = part.one(f"SELECT COALESCE(sum(n), 0), count(DISTINCT cell) FROM {source}")
    numbers.row[f"cells:{field.name}"] = int(total)
    if field.categorical:
        numbers.row[f"categories:{field.name}"] = int(different)
    if field.name == EVENT_TYPE:
        numbers.row["event_types"] = int(different)
    bars = part.select(
        f"SELECT left(cell, 60), sum(n)::BIGINT FROM {source} GROUP BY cell ORDER BY sum(n) DESC, cell LIMIT {KEPT_VALUES}"
    )
    if bars:
        numbers.shapes.append(Shape(f"column:{field.name}", f"{field.name}: values", "rows", bars))
    if field.name == EVENT_TYPE or field.categorical:
        rare = part.select(f"SELECT left(cell, 60), sum(n) FROM {source} GROUP BY cell ORDER BY sum(n), cell LIMIT 5")
        example = [f"{value}: {int(count):,} rows" for value, count in rare]
        numbers.examples["event_types" if field.name == EVENT_TYPE else f"categories:{field.name}"] = example
    return column


# Numbers, times and texts ---------------------------------------------------------------------------


def _stands_out(part: Part, field: Field, column: Column, facts: dict[str, Any], numbers: Numbers) -> None:
    if field.textual:
        numbers.row[f"long_texts:{field.name}"] = facts["long"]
    elif field.name in MOMENTS and field.name != TIMESTAMP and facts["filled"]:
        numbers.shapes += _moments(part, field, facts)
    elif _is_number(field):
        _number(part, field, column, facts, numbers)


def _moments(part: Part, field: Field, facts: dict[str, Any]) -> list[Shape]:
    name = quoted(field.name)
    step = 3_600 if facts["largest"] - facts["smallest"] > 4 * 86_400 else 60
    counts = part.select(
        f"SELECT ({name} - ({name} % {step} + {step}) % {step}) AS moment, count(*) FROM part WHERE {name} IS NOT NULL "
        f"GROUP BY 1 ORDER BY 1"
    )
    return over_time(counts, f"column:{field.name}", field.name, "rows")


def _number(part: Part, field: Field, column: Column, facts: dict[str, Any], numbers: Numbers) -> None:
    name, key = quoted(field.name), field.name
    numbers.row[f"negative:{key}"] = negative = _odd_negatives(key, facts)
    if negative:
        numbers.examples[f"negative:{key}"] = part.cells(key, f"{name} < 0", "ASC")
    numbers.row[f"outliers:{key}"] = 0
    quantiles = _quantiles(part, name)
    if quantiles is None:
        return
    bottom, low, middle, high, top = quantiles
    numbers.row |= {f"quartile:{key}": low, f"median:{key}": middle, f"upper quartile:{key}": high}
    floor, ceiling = fences(low, high)
    if high > low and (facts["smallest"] < floor or facts["largest"] > ceiling):
        outside = f"({name} < {floor!r} OR {name} > {ceiling!r})"
        [numbers.row[f"outliers:{key}"]] = part.one(f"SELECT count(*) FILTER ({outside}) FROM part")
        order = "DESC" if facts["largest"] > ceiling else "ASC"
        numbers.examples[f"outliers:{key}"] = part.cells(key, outside, order)
    numbers.shapes.append(_histogram(part, field, column, bottom, top))


def _quantiles(part: Part, name: str) -> tuple[float, float, float, float, float] | None:
    """At 0.5, 25, 50, 75 and 99.5 %: exact up to 100,000 rows, of an even sample of the part above; None of no value."""
    step = max(part.rows // SAMPLE, 1)
    [found] = part.one(
        f"SELECT quantile_cont({name}::DOUBLE, [0.005, 0.25, 0.5, 0.75, 0.995]) "
        f"FROM read_parquet({text(str(part.path))}, file_row_number = true) WHERE file_row_number % {step} = 0"
    )
    return tuple(found) if found else None


def fences(low: float, high: float) -> tuple[float, float]:
    """The quartiles' fences on the scale of sign(x) ln(1 + |x|), on which prices and counts are nearly symmetric."""
    bottom, top = _squeezed(low), _squeezed(high)
    reach = FENCE * (top - bottom)
    # Wider than any float32 is no fence.
    return _stretched(max(bottom - reach, -90)), _stretched(min(top + reach, 90))


def _squeezed(x: float) -> float:
    return log1p(x) if x >= 0 else -log1p(-x)


def _stretched(y: float) -> float:
    return expm1(y) if y >= 0 else -expm1(-y)


def _odd_negatives(column: str, facts: dict[str, Any]) -> int:
    """Values below 0 where none should be, or hardly any is."""
    negative = int(facts["negative"])
    return negative if column in NEVER_NEGATIVE or negative < RARELY * facts["filled"] else 0


def _histogram(part: Part, field: Field, column: Column, low: float, high: float) -> Shape:
    """Each of a few values, or twenty bins of equal width; what lies outside `low` and `high` is in the outermost bins."""
    name = quoted(field.name)
    if column.distinct <= FEW_VALUES:
        found = part.select(f"SELECT {name}, count(*) FROM part WHERE {name} IS NOT NULL GROUP BY 1 ORDER BY 1")
        bars = [(f"{value:.12g}", int(n)) for value, n in found]
        return Shape(f"column:{field.name}", f"{field.name}: values", "rows", bars)
    width = (high - low) / 20 or 1.0
    found = part.select(
        f"SELECT greatest(least(floor(({name}::DOUBLE - {low!r}) / {width!r}), 19), 0)::INTEGER AS bin, count(*) "
        f"FROM part WHERE {name} IS NOT NULL GROUP BY 1"
    )
    counts = dict(found)
    labels = [f"below {low + width:.4g}", *(f"from {low + width * bin:.4g}" for bin in range(1, 20))]
    bars = [(label, int(counts.get(bin, 0))) for bin, label in enumerate(labels)]
    return Shape(f"column:{field.name}", f"{field.name}: distribution", "rows", bars)
