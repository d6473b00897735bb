"""What a value must be like, as SQL: one list of faults a field, each with the reason a person reads.

The reader hands every cell over as text (null when empty), so that the rules here, not a reader's own ideas,
say what a number is: DuckDB alone would take `5.7` for a long and make it 6 (spec: datasets.md section 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.datasets.schema import CREATION_TIMESTAMP, EVENT_TYPE, TIMESTAMP, Field, Schema

# Unlike AWS, data: a fraction of a second is dropped from times in files. `time.time()` writes one, and the rest is
# right.
MAX_ID = 256
MAX_STRING = 1_000
# A longer text is cut off without a word; Chinese and Japanese say as much in fewer characters.
MAX_TEXT = 20_000
MAX_IDEOGRAPHIC_TEXT = 7_000
NOT_IDEOGRAPHIC = r"[^\p{Han}\p{Hiragana}\p{Katakana}]"
# Seconds since 1970. Before 1970 nobody clicked, but films were made.
LAST_SECOND = 4_102_444_800  # 2100-01-01
FIRST_CREATION = -62_135_596_800  # 0001-01-01
MILLISECONDS_FROM = 100_000_000_000
MOMENTS = (TIMESTAMP, CREATION_TIMESTAMP, "ACTION_EXPIRATION_TIMESTAMP")
# What may have become of an action, as it is stored; written in any case, and with a space for the underscore.
ACTION_EVENT_TYPES = ("TAKEN", "NOT_TAKEN", "VIEWED")

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


def typed(schema: Schema, field: Field, raw: str) -> str:
    """The cell in the column's own type; right only where no fault was found."""
    if _is_action_event_type(schema, field):
        return _action_event_type(raw)
    if field.textual:
        return f"CASE WHEN strlen({raw}) > {MAX_IDEOGRAPHIC_TEXT} THEN {_cut(raw)} ELSE {raw} END"
    if field.avro == "string":
        return raw
    if field.avro == "boolean":
        return f"(lower({raw}) = 'true')"
    return _number(field, raw)


def _number(field: Field, raw: str) -> str:
    """The number that a cell holds, null if it holds none; of a moment the second in which it lies."""
    if not is_second(field):
        return f"TRY_CAST({raw} AS {field.column_type})"
    # DuckDB alone would round.
    second = f"CASE WHEN contains({raw}, '.') THEN split_part({raw}, '.', 1) ELSE {raw} END"
    return f"TRY_CAST({second} AS {field.column_type})"


def is_second(field: Field) -> bool:
    """Whether a field names a moment in whole seconds; a fraction, as time.time() writes it, is dropped."""
    return field.name in MOMENTS and field.avro in ("int", "long")


def _is_action_event_type(schema: Schema, field: Field) -> bool:
    return schema.dataset_type == "ACTION_INTERACTIONS" and field.name == EVENT_TYPE


def _action_event_type(raw: str) -> str:
    return f"upper(replace(trim({raw}), ' ', '_'))"


def _cut(raw: str) -> str:
    ideographs = f"length(regexp_replace(left({raw}, {MAX_IDEOGRAPHIC_TEXT}), {text(NOT_IDEOGRAPHIC)}, '', 'g'))"
    mostly = f"{ideographs} > {MAX_IDEOGRAPHIC_TEXT // 2}"
    return f"left({raw}, CASE WHEN {mostly} THEN {MAX_IDEOGRAPHIC_TEXT} ELSE {MAX_TEXT} END)"


def faults(schema: Schema, *, control: str) -> list[Fault]:
    """Every way a row of this schema can be wrong; `control`: control characters that its values can hold at all."""
    found = []
    for position, field in enumerate(schema.fields):
        raw = raw_name(position)
        for condition, reason in _conditions(schema, field, raw, control):
            found.append(Fault(field, raw, f"({condition})", reason))
    return found


def first_second(field: Field) -> int:
    """The earliest moment that a field of MOMENTS may name."""
    return 1 if field.name == TIMESTAMP else FIRST_CREATION


def any_fault(schema: Schema, found: Sequence[Fault]) -> str:
    """SQL that is true for a row with any of the faults, else false; it costs less than asking for each."""
    conditions = []
    for position, field in enumerate(schema.fields):
        mine = [fault.condition for fault in found if fault.field is field]
        if is_second(field):
            whole = f"{typed(schema, field, raw_name(position))} NOT BETWEEN {first_second(field)} AND {LAST_SECOND}"
            mine = [*mine[:-3], f"({whole})"]
        conditions += mine
    return f"COALESCE({' OR '.join(conditions)}, FALSE)"


def _conditions(schema: Schema, field: Field, raw: str, control: str) -> list[tuple[str, str]]:
    found = []
    is_id = field.name in schema.id_columns
    if is_id or not field.nullable:
        found.append((f"{raw} IS NULL", "is empty, and the schema does not allow null"))
    if is_id:
        found.append((_longer(raw, MAX_ID), f"is longer than {MAX_ID} characters"))
    elif _is_action_event_type(schema, field):
        allowed = ", ".join(map(text, ACTION_EVENT_TYPES))
        condition = f"{raw} IS NOT NULL AND {_action_event_type(raw)} NOT IN ({allowed})"
        found.append((condition, f"is none of {', '.join(ACTION_EVENT_TYPES)}"))
    elif field.avro == "string":
        found += _string_conditions(field, raw)
    elif field.avro in ("int", "long"):
        found += _whole_number_conditions(field, raw)
    elif field.avro in ("float", "double"):
        found += _number_conditions(field, raw)
    else:
        found.append((f"lower({raw}) NOT IN ('true', 'false')", "is neither true nor false"))
    return found + _control_conditions(field, raw, control, is_id=is_id)


def _control_conditions(field: Field, raw: str, control: str, *, is_id: bool) -> list[tuple[str, str]]:
    """A line break is no part of an id, and a NUL of nothing: PostgreSQL can't store it."""
    found = []
    if is_id and "\n" in control:
        found.append((f"regexp_matches({raw}, '[\\n\\r\\x0b]')", "holds a line break: is a quote not closed?"))
    if field.avro == "string" and "\0" in control:
        found.append((f"contains({raw}, chr(0))", "holds a NUL character"))
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
    cast, fraction = _number(field, raw), "[0-9]*" if is_second(field) else "0*"
    # The round trip settles nearly every value; the expression only looks at the others (`+5`, `007`, `5.0`).
    written = f"regexp_full_match({raw}, '\\s*[+-]?[0-9]+(\\.{fraction})?\\s*')"
    plain = f"CASE WHEN CAST({cast} AS VARCHAR) = {raw} THEN TRUE ELSE {written} END"
    bounds = "" if field.avro == "long" else " that fits into 32 bits"
    found = [(f"{raw} IS NOT NULL AND ({cast} IS NULL OR NOT {plain})", f"is not a whole number{bounds}")]
    if field.name in MOMENTS:
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
