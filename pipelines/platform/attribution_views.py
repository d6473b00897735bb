"""What `openpersonalize attribution` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from pipelines.datasets.attribution import MOST_SOURCES, WINDOW_SECONDS, Metric
from pipelines.platform.attribution_command import Found, Row

COLUMNS = ("source", "value", "share", "95 % interval", "events")


def show(console: Console, found: Found) -> None:
    """A table a metric, and in words what they leave out."""
    console.print(f"[bold]{found.name}[/] of dataset group {found.group}", highlight=False)
    for line in (found.arn, span(found)):
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    for metric in found.metrics:
        console.print()
        console.print(f"[bold]{metric.name}[/]  {described(metric)}", soft_wrap=True, highlight=False)
        console.print(_table(found.rows[metric.name]) if found.rows[metric.name] else nothing(metric))
    notes = list(remarks(found))
    if notes:
        console.print()
    for note in notes:
        console.print(note, soft_wrap=True, markup=False, highlight=False)


def described(metric: Metric) -> str:
    """What it adds up."""
    dataset, column = metric.expression
    what = f"SUM({dataset.title()}.{column})" if dataset else "SAMPLECOUNT()"
    return f"{what} of {metric.event_type}, since {metric.since:%Y-%m-%d %H:%M} UTC"


def span(found: Found) -> str:
    """From when to when there are sums."""
    if not found.sums:
        return "no event has been counted"
    first = min(one.start for one in found.sums)
    last = max(one.start for one in found.sums) + WINDOW_SECONDS
    return f"events from {moment(first)} to {moment(last)} UTC"


def nothing(metric: Metric) -> str:
    """Instead of a table without rows."""
    return f"no event of type {metric.event_type} has been counted"


def moment(seconds: float) -> str:
    """2026-01-31 23:45, in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"


def number(value: float) -> str:
    """12, 1,234.5 or 0.00015."""
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:,.7g}"


def cells(row: Row) -> Sequence[str]:
    """A row's cells, but its source."""
    interval = "" if row.low is None or row.high is None else f"{row.low:,.0f} to {row.high:,.0f}"
    return number(row.value), "" if row.share is None else f"{row.share:.1%}", interval, f"{row.events:,}"


def short(source: str) -> str:
    """`campaign/home` of an ARN; other names as they are."""
    return source.rpartition(":")[2] if source.startswith("arn:") else source


def remarks(found: Found) -> Iterator[str]:
    """What a reader must know of the numbers."""
    rows = [row for of_metric in found.rows.values() for row in of_metric]
    if any(row.low is not None for row in rows):
        yield (
            "95 % interval: where the count would come to lie if as many users came by chance. Each user is one draw with "
            "all their events, so few busy users make it wide; sources whose intervals overlap need not differ."
        )
    if found.imported:
        yield "Imports are among the sums; of what they brought it is not known which events are one user's: no interval."
    for name, count in found.without_value.items():
        yield f"{name}: {_counted(count, 'streamed event')} of the type without a number to add up, or of an item without one."
    if found.left_out:
        sources, events = len(found.left_out), sum(found.left_out.values())
        are = "is" if sources == 1 else "are"
        yield (
            f"{_counted(sources, 'source')} with {_counted(events, 'event')} {are} left out: at most {MOST_SOURCES} count, "
            "those that came first."
        )


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def _table(rows: Sequence[Row]) -> Table:
    table = Table()
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "source" else "right")
    for row in rows:
        table.add_row(short(row.source), *cells(row))
    return table
