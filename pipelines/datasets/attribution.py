"""Metric attributions: what is counted or summed, of which events, and to whose credit (spec: runtime.md section 9).

Windows of 15 minutes begin at multiples of 900 epoch seconds of the event's own time. Event types are compared without
regard to case, as filters do. The source of an event is, in this order: what it names itself, the campaign or recommender
whose answer it names by recommendationId, SOURCE_NAME_UNDEFINED. Of Items the value is that of the item's newest record. An
event without the value that a metric sums adds nothing to it, and is not among its events.

What counts is data that arrived after the metric was added: streamed events by their number, imports by when they were
asked for. Where the sums come from:

    streamed events       summed when somebody asks (attribution_streamed.py). Nothing takes them out of their table but
                          deletions, so a second copy of the sums could only drift. What is deleted counts no more.
    INCREMENTAL imports   summed once, in table `attribution_sums` with the transaction that makes the import ACTIVE: a later
                          compaction or FULL import leaves no trace of which rows came with it (attribution_imported.py)
    FULL imports          only in their file, if one is asked for: they say again what is there already
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from pipelines.registry import store
from pipelines.registry.store import Resource

WINDOW_SECONDS = 900
UNDEFINED = "SOURCE_NAME_UNDEFINED"
MOST_SOURCES = 100
METRICS = "metrics"
"""Member of an attribution's `internal`: by name {eventType, metricName, expression, after, since}, see Metric."""
PUBLISH = "publishAttributionMetricsToS3"
"""The member of CreateDatasetImportJob that asks for a report."""

# Unlike AWS, deletion: a data deletion job takes streamed events of the users out of the sums of metric attributions as well;
# sums that imports left stay. The former are counted from the events themselves, the latter name nobody.

# Unlike AWS, data: metrics go to `openpersonalize attribution` instead of CloudWatch, those of PutEvents and of INCREMENTAL
# imports, of events of any age. There is no CloudWatch here, and nothing that would drop what is older than 14 days.
_EXPRESSION = re.compile(
    r"SAMPLECOUNT\(\s*\)|SUM\(\s*(?P<dataset>Interactions|Items)\s*\.\s*(?P<column>\w+)\s*\)", re.I
)
_BEGIN = text(
    "SELECT (SELECT coalesce(max(id), 0) FROM openpersonalize.events WHERE group_id = :group_id), "
    "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US+00:00')"
)


class Expression(NamedTuple):
    """What of an event is added up."""

    dataset: str
    """INTERACTIONS or ITEMS, empty when events are counted."""
    column: str


@dataclass(frozen=True)
class Metric:
    """One metric of an attribution."""

    name: str
    event_type: str
    expression: Expression
    after: int
    """Streamed events up to this number came before it."""
    since: datetime
    """When it was added: imports that were asked for before do not count."""

    @property
    def function(self) -> str:
        return "sum" if self.expression.dataset else "samplecount"

    @property
    def sums_items(self) -> bool:
        return self.expression.dataset == "ITEMS"


@dataclass(frozen=True)
class Attribution:
    """A metric attribution as its sums need it."""

    resource: Resource
    metrics: tuple[Metric, ...]
    """By name."""

    @property
    def destination(self) -> Mapping[str, str] | None:
        """s3DataDestination, `{path, kmsKeyArn}`; None when there is none."""
        found: Mapping[str, str] | None = self.resource.doc["metricsOutputConfig"].get("s3DataDestination")
        return found

    def item_columns(self) -> tuple[str, ...]:
        """The columns of Items that are summed, each once."""
        return tuple(dict.fromkeys(one.expression.column for one in self.metrics if one.sums_items))


class Sum(NamedTuple):
    """A metric of one source in one window."""

    metric: str
    source: str
    start: int
    """Epoch seconds; the window lasts WINDOW_SECONDS."""
    value: float
    events: int


def read_expression(written: str) -> Expression | None:
    """None for what is no expression."""
    found = _EXPRESSION.fullmatch(written.strip())
    return None if found is None else Expression((found["dataset"] or "").upper(), found["column"] or "")


def beginning(conn: Connection, group_id: str) -> dict[str, Any]:
    """`after` and `since` of metrics that are added now.

    Without the lock of streamed.newest_event: an event that is on its way just now may be of before or after.
    """
    after, since = conn.execute(_BEGIN, {"group_id": group_id}).one()
    return {"after": after, "since": since}


def of_group(conn: Connection, group_id: str) -> Attribution | None:
    """The group's attribution that is ACTIVE."""
    found = [one for one in store.in_group(conn, group_id, "MetricAttribution") if one.status == store.ACTIVE]
    return of_resource(found[0]) if found else None


def of_resource(resource: Resource) -> Attribution:
    """What the registry has of it, typed."""
    metrics = sorted(resource.internal[METRICS].items())
    return Attribution(resource, tuple(_metric(name, given) for name, given in metrics))


def can_publish(attribution: Resource) -> bool:
    """Whether reports of imports can go anywhere."""
    return attribution.status == store.ACTIVE and of_resource(attribution).destination is not None


def _metric(name: str, given: Mapping[str, Any]) -> Metric:
    expression = read_expression(given["expression"])
    assert expression is not None, "it was checked when the metric was added"
    return Metric(name, given["eventType"], expression, given["after"], datetime.fromisoformat(given["since"]))


def counted_sources(first: Mapping[str, datetime], events: Mapping[str, int]) -> list[str]:
    """At most MOST_SOURCES of the sources, and UNDEFINED: the first to arrive, of those that came together the ones with more.

    So a source that counts goes on to, whatever comes later.
    """
    named = sorted((name for name in first if name != UNDEFINED), key=lambda name: (first[name], -events[name], name))
    return [*named[:MOST_SOURCES], UNDEFINED]


def rounded(value: float) -> float:
    """To the 15 digits that a double holds of a decimal: 0.1 + 0.2 is 0.3, in whatever order a database adds."""
    return float(f"{value:.15g}")


def events_by_source(sums: Iterable[Sum]) -> dict[str, int]:
    """The most events that one metric has of each source: an event may be counted by several."""
    of_metric: dict[tuple[str, str], int] = {}
    for one in sums:
        key = one.source, one.metric
        of_metric[key] = of_metric.get(key, 0) + one.events
    found: dict[str, int] = {}
    for (source, _), count in of_metric.items():
        found[source] = max(found.get(source, 0), count)
    return found


def of_sources(sums: Iterable[Sum], sources: Sequence[str]) -> list[Sum]:
    """Those of the sources."""
    wanted = set(sources)
    return [one for one in sums if one.source in wanted]
