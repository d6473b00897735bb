"""An import beside the one before it: more or fewer rows, other values, other gaps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log
from typing import TYPE_CHECKING

from pipelines.datasets.profile_queries import EXAMPLES, Numbers, Row, Shape, share

if TYPE_CHECKING:
    from pipelines.datasets.profile import Summary

ENOUGH = 200
"""Values on each side; of fewer, chance alone makes an index above 0.25."""
OTHER = ""


def against(before: Summary | None, row: Row, shapes: Sequence[Shape]) -> Numbers:
    """Numbers `drift:…`; what cannot be compared (another schema, the first import) has none."""
    found = Numbers()
    if before is None:
        return found
    if row["full"] and before.row.get("full") and before.row.get("rows"):
        _add(found, "rows", (row["rows"] or 0) / (before.row["rows"] or 1), before, row, "rows", _count)
    for name in row:
        kind, _, column = name.partition(":")
        old, new = before.row.get(name), row[name]
        if old is None or new is None:
            continue
        if kind == "filled":
            _add(found, name, abs(new - old), before, row, name, _percent)
        elif kind == "median" and (width := _width(before.row, column)):
            _add(found, name, abs(new - old) / width, before, row, name, _number)
    _indexes(found, before, row, shapes)
    return found


def _add(
    found: Numbers, key: str, value: float, before: Summary, row: Row, name: str, form: Callable[[float], str]
) -> None:
    found.row[f"drift:{key}"] = value
    found.examples[f"drift:{key}"] = [f"{form(before.row[name] or 0)} in {before.name}, {form(row[name] or 0)} now"]


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _number(value: float) -> str:
    return f"{value:,.6g}"


def _width(old: Row, column: str) -> float:
    """The interquartile range, 0 if there is none to divide by."""
    low, high = old.get(f"quartile:{column}"), old.get(f"upper quartile:{column}")
    return high - low if low is not None and high is not None else 0


def _indexes(found: Numbers, before: Summary, row: Row, shapes: Sequence[Shape]) -> None:
    """Of each column that is counted by its values."""
    earlier = {shape.key: shape for shape in before.shapes}
    for shape in shapes:
        column = shape.key.removeprefix("column:")
        total, old_total = int(row.get(f"cells:{column}") or 0), int(before.row.get(f"cells:{column}") or 0)
        if shape.key not in earlier or min(total, old_total) < ENOUGH:
            continue
        old, new = dict(earlier[shape.key].bars), dict(shape.bars)
        found.row[f"drift:{column}"] = stability_index(old, old_total, new, total)
        change = {value: new.get(value, 0) / total - old.get(value, 0) / old_total for value in {**old, **new}}
        worst = sorted(change, key=lambda value: (-abs(change[value]), value))[:EXAMPLES]
        found.examples[f"drift:{column}"] = [
            f"{value}: {_percent(old.get(value, 0) / old_total)} in {before.name}, {_percent(new.get(value, 0) / total)} now"
            for value in worst
        ]


def stability_index(old: dict[str, int], old_total: int, new: dict[str, int], new_total: int) -> float:
    """Population stability index: the sum of (q - p) ln(q / p) over the values of either side.

    Values beyond those that are kept count as one; half a row stands for none, or the index would be infinite.
    """
    both = set(old) & set(new)
    one_sided = set(old) ^ set(new)
    # A value that only one side keeps may be among the rest of the other: it is one of its own only if that has no rest.
    rest_of_old, rest_of_new = old_total - sum(old.values()), new_total - sum(new.values())
    values = both | (one_sided if not rest_of_old and not rest_of_new else set())
    index = 0.0
    for value in [*values, OTHER]:
        a = old.get(value, 0) if value != OTHER else old_total - sum(old.get(v, 0) for v in values)
        b = new.get(value, 0) if value != OTHER else new_total - sum(new.get(v, 0) for v in values)
        if a or b:
            p, q = share(max(a, 0.5), old_total), share(max(b, 0.5), new_total)
            index += (q - p) * log(q / p)
    return index
