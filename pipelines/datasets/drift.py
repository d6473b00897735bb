"""An import beside the one before it: more or fewer rows, other values, other gaps."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import TYPE_CHECKING

from pipelines.datasets.profile_queries import Row, Shape, share

if TYPE_CHECKING:
    from pipelines.datasets.profile import Summary

ENOUGH = 200
"""Values on each side; of fewer, chance alone makes an index above 0.25."""
OTHER = ""


def against(before: Summary | None, row: Row, shapes: Sequence[Shape]) -> dict[str, float | int | None]:
    """Numbers `drift:…`; what cannot be compared (another schema, the first import) has none."""
    if before is None:
        return {}
    found: dict[str, float | int | None] = {}
    old, rows = before.row, row["rows"]
    if row["full"] and old.get("full") and old.get("rows") and rows is not None:
        found["drift:rows"] = rows / (old["rows"] or 1)
    for name, value in row.items():
        kind, _, column = name.partition(":")
        earlier = old.get(name)
        if value is None or earlier is None:
            continue
        if kind == "filled":
            found[f"drift:filled:{column}"] = abs(value - earlier)
        elif kind == "median":
            found[f"drift:median:{column}"] = _moved(old, column, value, earlier)
    return found | _indexes(before, row, shapes)


def _moved(old: Row, column: str, median: float, earlier: float) -> float | None:
    """The way of the median, in earlier interquartile ranges."""
    low, high = old.get(f"quartile:{column}"), old.get(f"upper quartile:{column}")
    if low is None or high is None or high <= low:
        return None
    return abs(median - earlier) / (high - low)


def _indexes(before: Summary, row: Row, shapes: Sequence[Shape]) -> dict[str, float | int | None]:
    """Of each column that is counted by its values."""
    earlier = {shape.key: shape for shape in before.shapes}
    found: dict[str, float | int | None] = {}
    for shape in shapes:
        column = shape.key.removeprefix("column:")
        total, old_total = row.get(f"cells:{column}"), before.row.get(f"cells:{column}")
        if shape.key in earlier and min(total or 0, old_total or 0) >= ENOUGH:
            found[f"drift:{column}"] = stability_index(
                dict(earlier[shape.key].bars), int(old_total or 0), dict(shape.bars), int(total or 0)
            )
    return found


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
