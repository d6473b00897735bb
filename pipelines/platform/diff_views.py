"""The tables of `openpersonalize diff`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from pipelines.platform.metrics_views import METRICS
from pipelines.versions.comparing import Comparison, Data, Pair

LABELS = {key: label for label, key in METRICS.items()}
SHOWN_EXAMPLES = 3
SOME, FAR = 0.1, 0.25
"""Of the population stability index, by custom."""


def show(console: Console, found: Comparison) -> None:
    """Metrics, parameters, code, data; what is the same is said in a line."""
    for letter, version in (("a", found.a), ("b", found.b)):
        console.print(
            f"{letter}  {version.arn}, {version.created[:16].replace('T', ' ')}", markup=False, soft_wrap=True
        )
    for note in found.notes:
        console.print(note, markup=False, soft_wrap=True)
    _table(console, "Metrics", found.metrics, found, metrics=True)
    _table(console, "Parameters", found.parameters, found)
    _table(console, "Code", found.code, found)
    for data in found.data:
        _data(console, data, found)


def _table(console: Console, title: str, pairs: Sequence[Pair], found: Comparison, *, metrics: bool = False) -> None:
    if not pairs:
        console.print(f"\n[bold]{title}[/]: the same")
        return
    table = Table("", f"a {found.a.short}", f"b {found.b.short}", *(["b - a"] if metrics else []), pad_edge=False)
    for pair in pairs:
        values = [_number(pair.a), _number(pair.b)] if metrics else [_value(pair.a), _value(pair.b)]
        table.add_row(_label(pair.name), *values, *([_difference(pair)] if metrics else []))
    console.print(f"\n[bold]{title}[/]")
    console.print(table)


def _label(name: str) -> str:
    words, key = name.rpartition(" ")[::2]
    return f"{words} {LABELS[key]}".strip() if key in LABELS else name


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _difference(pair: Pair) -> str:
    return "" if None in (pair.a, pair.b) else f"{pair.b - pair.a:+.4f}"


def _value(value: Any) -> str:
    return "none" if value is None else str(value)


def _data(console: Console, data: Data, found: Comparison) -> None:
    console.print(f"\n[bold]{data.dataset_type.capitalize()}[/]{': the same snapshot' if data.is_same else ''}")
    table = Table("", f"a {found.a.short}", f"b {found.b.short}", pad_edge=False)
    table.add_row("rows of the snapshot", *(f"{rows:,}" for rows in data.rows))
    table.add_row("streamed", *(f"{rows:,}" for rows in data.streamed))
    for pair in data.numbers:
        table.add_row(pair.name.replace("_", " "), _count(pair.name, pair.a), _count(pair.name, pair.b))
    console.print(table)
    for name, value in data.drift.items():
        if ":" in name and not value:
            continue  # as full as before, or with the same median
        examples = "; ".join(data.examples.get(name, ())[:SHOWN_EXAMPLES])
        console.print(
            f"drift  {_drift(name, value)}{f'  ({examples})' if examples else ''}", markup=False, soft_wrap=True
        )


def _drift(name: str, value: float) -> str:
    """In words, with what the number means (pipelines/datasets/drift.py)."""
    kind, _, column = name.partition(":")
    if name == "rows":
        return f"rows: {value:.2f} times a's"
    if kind == "filled":
        return f"{column}: {value:.1%} of the cells more, or fewer, are filled"
    if kind == "median":
        return f"{column}: its median moved by {value:.2f} of the width of the middle half"
    if name == "popularity":
        return f"items: their shares are {value:.2f} apart, where 0 is the same and 1 nothing in common"
    if name == "volume":
        return f"rows a day: {value:.2f} times a's"
    if name.startswith("new_"):
        return f"{name.replace('_', ' ')}: {value:.1%} of b's"
    far = "far" if value > FAR else "somewhat" if value > SOME else "hardly"
    return f"{name}: stability index {value:.3f}, {far} moved"


def _count(name: str, value: Any) -> str:
    if value is None:
        return "none"
    return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M}" if name.endswith("timestamp") else f"{value:,}"
