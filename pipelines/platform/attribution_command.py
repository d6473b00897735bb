"""`openpersonalize attribution`: what a metric attribution says so far, of streamed events and of INCREMENTAL imports.

Where AWS sends metrics to CloudWatch, this is asked. A table for the terminal; as a page with plots, because lines of several
sources over weeks are not read off 80 columns of a terminal: a file that loads nothing can be mailed, printed and kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from pipelines.datasets import attribution, attribution_streamed
from pipelines.datasets.attribution import UNDEFINED, WINDOW_SECONDS, Attribution, Metric, Sum
from pipelines.datasets.attribution_imported import report
from pipelines.datasets.attribution_streamed import ByUser, Streamed
from pipelines.evaluation.counts import interval
from pipelines.platform.finding import NotFound, find
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.store import Resource
from pipelines.registry.tables import attribution_sums, resources
from pipelines.settings import Settings


@dataclass(frozen=True)
class Row:
    """A source's part in a metric."""

    source: str
    value: float
    events: int
    share: float | None
    """Of the metric's sum over all sources; None when sources have values below 0."""
    low: float | None
    high: float | None
    """Of counts, the interval of counts.CONFIDENCE; None where it is not known how the events are spread over users: imports
    leave sums, and no users."""


@dataclass(frozen=True)
class Found:
    """What an attribution says."""

    name: str
    arn: str
    group: str
    metrics: Sequence[Metric]
    sums: Sequence[Sum]
    """By metric, source and window, of at most MOST_SOURCES sources."""
    rows: dict[str, list[Row]]
    """By metric, the largest first."""
    without_value: dict[str, int]
    """By metric, streamed events of its type that have no number to add up."""
    left_out: dict[str, int]
    """By source, events of those that came after MOST_SOURCES others."""
    imported: bool
    """Whether imports are part of the sums."""


def collect(settings: Settings, given: str | None, since: datetime | None) -> Found:
    """Of the attribution with that ARN, name or id, or of such a dataset group's; None: of the newest.

    Windows that begin before `since` are left out. Raises NotFound, RepositoryError.
    """
    start = 0 if since is None else -(-since.timestamp() // WINDOW_SECONDS) * WINDOW_SECONDS
    with transaction(settings) as conn:
        resource = _find(conn, given)
        group = store.get(conn, id=resource.group_id)
        found = attribution.of_resource(resource)
        streamed = attribution_streamed.summed(settings, conn, found, start)
        imported, arrived = _imported(conn, found, start)
    assert group is not None
    sums = _joined([*streamed.sums, *imported])
    first = {**arrived, **{name: min(at, arrived.get(name, at)) for name, at in streamed.first.items()}}
    events = attribution.events_by_source(sums)
    sources = attribution.counted_sources({name: first[name] for name in events}, events)
    counted = attribution.of_sources(sums, sources)
    of_imports = {(one.metric, one.source) for one in imported}
    return Found(
        resource.name,
        resource.arn,
        group.name,
        found.metrics,
        counted,
        {metric.name: _rows(metric, counted, streamed, of_imports) for metric in found.metrics},
        {name: count for name, count in streamed.without_value.items() if count},
        {name: events[name] for name in events if name not in sources},
        bool(imported),
    )


def as_csv(found: Found) -> str:
    """A line a metric, source and window, in the form of AWS's report."""
    return report(found.metrics, found.sums)


def _find(conn: Connection, given: str | None) -> Resource:
    try:
        found = find(conn, "MetricAttribution", given, "metric attribution")
    except NotFound:
        group = find(conn, "DatasetGroup", given, "dataset group or metric attribution")
        there = attribution.of_group(conn, group.id)
        if there is None:
            raise NotFound(f"dataset group {group.name} has no metric attribution: CreateMetricAttribution") from None
        return there.resource
    if found.status != store.ACTIVE:
        raise NotFound(f"{found.arn} is {found.status}; delete it and create another")
    return found


def _imported(conn: Connection, found: Attribution, start: float) -> tuple[list[Sum], dict[str, datetime]]:
    """The sums that imports left, and by source when the first of them was asked for."""
    kept = attribution_sums.c
    query = (
        select(kept.metric, kept.source, kept.window_start, kept.value, kept.events, resources.c.created_at)
        .join(resources, resources.c.id == kept.import_job_id)
        .where(kept.attribution_id == found.resource.id, kept.window_start >= start)
        .order_by(resources.c.created_at.desc())
    )
    rows = conn.execute(query).all()
    return [Sum(*row[:5]) for row in rows], {row.source: row.created_at for row in rows}


def _joined(sums: Sequence[Sum]) -> list[Sum]:
    """One for each metric, source and window."""
    found: dict[tuple[str, str, int], Sum] = {}
    for one in sums:
        key = one.metric, one.source, one.start
        before = found.get(key, one._replace(value=0.0, events=0))
        found[key] = one._replace(value=before.value + one.value, events=before.events + one.events)
    return [found[key] for key in sorted(found)]


def _rows(metric: Metric, sums: Sequence[Sum], streamed: Streamed, imported: set[tuple[str, str]]) -> list[Row]:
    totals: dict[str, tuple[float, int]] = {}
    for one in sums:
        if one.metric == metric.name:
            value, events = totals.get(one.source, (0.0, 0))
            totals[one.source] = value + one.value, events + one.events
    whole = sum(value for value, _ in totals.values())
    shared = whole > 0 and all(value >= 0 for value, _ in totals.values())
    rows = []
    for source, (value, events) in totals.items():
        by_user = streamed.users.get((metric.name, source))
        low, high = (None, None) if by_user is None or (metric.name, source) in imported else _interval(by_user)
        rows.append(Row(source, attribution.rounded(value), events, value / whole if shared else None, low, high))
    return sorted(rows, key=lambda row: (-row.value, row.source == UNDEFINED, row.source))


def _interval(spread: ByUser) -> tuple[float, float]:
    return interval(spread.events, spread.squares, spread.most)
