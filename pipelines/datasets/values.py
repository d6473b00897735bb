"""What a value must be like, as SQL: one list of faults a field, each with the reason a person reads.

The reader hands every cell over as text (null when empty), so that the rules here, not a reader's own ideas,
say what a number is: DuckDB alone would take `5.7` for a long and make it 6 (spec: datasets.md section 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.datasets.schema import CREATION_TIMESTAMP, EVENT_TYPE, TIMESTAMP, Field, Schema

MAX_ID = 256
MAX_STRING = 1_000
# Seconds since 1970. Before 1970 nobody clicked, but films were made.
LAST_SECOND = 4_102_444_800  # 2100-01-01
FIRST_CREATION = -62_135_596_800  # 0001-01-01
MILLISECONDS_FROM = 100_000_000_000

TOO_LONG_CATEGORY = f"is longer than {MAX_STRING:,} characters, which a categorical field may not be"


@dataclass(frozen=True)
class Fault:
    """A way for a value to be wrong."""

    field: Field
    raw: str
    """The cell's text, as SQL."""
    condition: str
    """SQL that is true for a wrong value, and false or null for a right one."""
    reason: str


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def raw_name(position: int) -> str:
    """What the reader calls the cell of the schema's field at `position`."""
    return f"raw_{position}"


def typed(field: Field, raw: str) -> str:
    """The cell in the column's own type; right only where no fault was found."""
    if field.avro == "string":
        return raw
    if field.avro == "boolean":
        return f"(lower({raw}) = 'true')"
    return f"TRY_CAST({raw} AS {field.column_type})"


def faults(schema: Schema, *, line_breaks: bool) -> list[Fault]:
    """Every way a row of this schema can be wrong; `line_breaks`: values can hold line ends at all."""
    found = []
    for position, field in enumerate(schema.fields):
        raw = raw_name(position)
        for condition, reason in _conditions(
            field, raw, is_id=field.name in schema.id_columns, line_breaks=line_breaks
        ):
            found.append(Fault(field, raw, f"({condition})", reason))
    return found


def first_second(field: Field) -> int:
    """The earliest moment that TIMESTAMP or CREATION_TIMESTAMP may name."""
    return 1 if field.name == TIMESTAMP else FIRST_CREATION


def any_fault(schema: Schema, found: Sequence[Fault]) -> str:
    """SQL that is true for a row with any of the faults, else false; it costs less than asking for each."""
    conditions = []
    for position, field in enumerate(schema.fields):
        mine = [fault.condition for fault in found if fault.field is field]
        if field.name in (TIMESTAMP, CREATION_TIMESTAMP) and field.avro in ("int", "long"):
            whole = f"{typed(field, raw_name(position))} NOT BETWEEN {first_second(field)} AND {LAST_SECOND}"
            mine = [*mine[:-3], f"({whole})"]
        conditions += mine
    return f"COALESCE({' OR '.join(conditions)}, FALSE)"


def _conditions(field: Field, raw: str, *, is_id: bool, line_breaks: bool) -> list[tuple[str, str]]:
    found = []
    if is_id or not field.nullable:
        found.append((f"{raw} IS NULL", "is empty, and the schema does not allow null"))
    if is_id:
        found.append((_longer(raw, MAX_ID), f"is longer than {MAX_ID} characters"))
    elif field.avro == "string":
        found += _string_conditions(field, raw)
    elif field.avro in ("int", "long"):
        found += _whole_number_conditions(field, raw)
    elif field.avro in ("float", "double"):
        found += _number_conditions(field, raw)
    else:
        found.append((f"lower({raw}) NOT IN ('true', 'false')", "is neither true nor false"))
    if line_breaks and is_id:
        found.append((f"regexp_matches({raw}, '[\\n\\r\\x0b]')", "holds a line break: is a quote not closed?"))
    return found


def _longer(raw: str, limit: int) -> str:
    # Bytes first: counting characters is the dearer test.
    return f"(strlen({raw}) > {limit} AND length({raw}) > {limit})"


def _string_conditions(field: Field, raw: str) -> list[tuple[str, str]]:
    if field.textual:
        return []
    if field.categorical:
        return [(_longer(raw, MAX_STRING), TOO_LONG_CATEGORY)]
    limit = MAX_ID if field.name == EVENT_TYPE else MAX_STRING
    return [(_longer(raw, limit), f"is longer than {limit:,} characters")]


def _whole_number_conditions(field: Field, raw: str) -> list[tuple[str, str]]:
    cast = f"TRY_CAST({raw} AS {field.column_type})"
    # The round trip settles nearly every value; the expression only looks at the others (`+5`, `007`, `5.0`).
    plain = f"CASE WHEN CAST({cast} AS VARCHAR) = {raw} THEN TRUE ELSE regexp_full_match({raw}, '\\s*[+-]?[0-9]+(\\.0*)?\\s*') END"
    bounds = "" if field.avro == "long" else " that fits into 32 bits"
    found = [(f"{raw} IS NOT NULL AND ({cast} IS NULL OR NOT {plain})", f"is not a whole number{bounds}")]
    if field.name in (TIMESTAMP, CREATION_TIMESTAMP):
        first = first_second(field)
        found += [
            (
                f"{cast} >= {MILLISECONDS_FROM} OR {cast} <= -{MILLISECONDS_FROM}",
                "looks like milliseconds or finer, but must be seconds since 1970",
            ),
            (
                f"{cast} > {LAST_SECOND} AND {cast} < {MILLISECONDS_FROM}",
                "lies after the year 2100; it must be seconds since 1970",
            ),
            (
                f"{cast} < {first} AND {cast} > -{MILLISECONDS_FROM}",
                f"lies before {'1970' if first == 1 else 'the year 1'}; it must be seconds since 1970",
            ),
        ]
    return found


def _number_conditions(field: Field, raw: str) -> list[tuple[str, str]]:
    cast = f"TRY_CAST({raw} AS {field.column_type})"
    return [
        (
            f"{raw} IS NOT NULL AND ({cast} IS NULL OR NOT isfinite({cast}) OR contains({raw}, '_'))",
            "is not a finite number",
        )
    ]
