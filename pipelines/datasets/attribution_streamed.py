"""What a metric attribution says of streamed events, added up by PostgreSQL from the events themselves.

So an event counts as soon as PutEvents has answered. Numbers are added as decimals, exactly. An event that names an answer
of the last seconds, whose campaign is not written beside it yet (impressions.py), has it looked up.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from pipelines.datasets.attribution import UNDEFINED, WINDOW_SECONDS, Attribution, Metric, Sum
from pipelines.datasets.item_values import item_values
from pipelines.datasets.reading import open_database
from pipelines.datasets.schema import EVENT_VALUE, ITEM_ID, TIMESTAMP, property_name
from pipelines.datasets.values import quoted
from pipelines.settings import Settings

EVENT, ITEM, VALUE, TIME, PROPERTY = "event", "item", "value", "time", "property"
"""What a metric adds up of an event, as the query calls it."""

# A property is a number, or a string that writes one, if the column is a number: PutEvents sees to it. What is neither, say
# because the dataset was made anew with other columns, is no value.
_COUNTED = f"""
    WITH metric AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(CAST(:metrics AS jsonb))
                   AS m (name text, event_type text, after bigint, adds text, key text)
    ), answer AS MATERIALIZED (
        SELECT e.id, found.arn FROM openpersonalize.events e CROSS JOIN LATERAL (
            SELECT c.arn FROM openpersonalize.served s JOIN openpersonalize.resources c ON c.id = s.campaign_id
            WHERE s.recommendation_id = e.recommendation_id AND c.group_id = e.group_id LIMIT 1
        ) found
        WHERE e.group_id = :group_id AND e.recommendation_id IS NOT NULL AND e.served_by IS NULL
    ), counted AS (
        SELECT m.name, m.adds, e.user_key, e.received_at, CASE WHEN m.adds = '{ITEM}' THEN e.item_id END AS item_id,
               (floor(e.sent_at / {WINDOW_SECONDS}) * {WINDOW_SECONDS})::bigint AS start,
               coalesce(e.attribution_source, nullif(coalesce(e.served_by, answer.arn), ''), '{UNDEFINED}') AS source,
               CASE m.adds WHEN '{VALUE}' THEN CAST(e.event_value AS numeric)
                           WHEN '{TIME}' THEN floor(CAST(e.sent_at AS numeric))
                           WHEN '{PROPERTY}' THEN
                               CASE WHEN e.properties ->> m.key ~ '^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?$'
                                    THEN CAST(e.properties ->> m.key AS numeric) END
                           ELSE 1 END AS value
        FROM openpersonalize.events e
        JOIN metric m ON lower(e.event_type) = lower(m.event_type) AND e.id > m.after
        LEFT JOIN answer ON answer.id = e.id
        WHERE e.group_id = :group_id AND e.id > :after AND e.sent_at >= :since
    )
"""
# The planner has no numbers of these groups and conditions: it would sort all events by their texts, and look at each once a
# metric.
_LARGE = text("SET LOCAL work_mem = '128MB'; SET LOCAL enable_sort = off; SET LOCAL enable_nestloop = off")
_BY_WINDOW = text(
    f"""{_COUNTED}
    SELECT name, source, start, item_id, CAST(sum(value) AS double precision), count(value), count(*), min(received_at)
    FROM counted GROUP BY 1, 2, 3, 4
    """
)
_BY_USER = text(
    f"""{_COUNTED}
    SELECT name, source, sum(events), sum(events * events), max(events) FROM (
        SELECT name, source, count(*) AS events FROM counted WHERE adds = '{EVENT}' GROUP BY name, source, user_key
    ) of_user GROUP BY name, source
    """
)


class ByUser(NamedTuple):
    """How a source's events of one metric are spread over users (or anonymous sessions)."""

    events: float
    squares: float
    """The sum over users of the square of each one's events."""
    most: float
    """Of one user."""


@dataclass
class Streamed:
    """What was streamed since the metrics were added."""

    sums: list[Sum] = field(default_factory=list)
    users: dict[tuple[str, str], ByUser] = field(default_factory=dict)
    """By name and source, of metrics that count."""
    first: dict[str, datetime] = field(default_factory=dict)
    """By source, when its first event arrived."""
    without_value: dict[str, int] = field(default_factory=dict)
    """By name, events of the type that have no number to add up."""


def summed(settings: Settings, conn: Connection, attribution: Attribution, since: float = 0) -> Streamed:
    """Of the windows from epoch second `since` on, the beginning of one, in the caller's transaction.

    Raises RepositoryError when a snapshot of Items is needed and cannot be had.
    """
    found = Streamed()
    if not attribution.metrics:
        return found
    given = {
        "metrics": json.dumps([_asked(metric) for metric in attribution.metrics]),
        "group_id": attribution.resource.group_id,
        "after": min(metric.after for metric in attribution.metrics),
        "since": since,
    }
    conn.execute(_LARGE)
    rows = conn.execute(_BY_WINDOW, given).all()
    for row in rows:
        found.first[row.source] = min(found.first.get(row.source, row[7]), row[7])
        found.without_value[row.name] = found.without_value.get(row.name, 0) + row[6] - row[5]
    of_items = {metric.name: metric for metric in attribution.metrics if metric.sums_items}
    found.sums = [
        Sum(row.name, row.source, row.start, row[4], row[5]) for row in rows if row.name not in of_items and row[5]
    ]
    if of_items:
        found.sums += _of_items(settings, conn, attribution, [row for row in rows if row.name in of_items], found)
    for name, source, *spread in conn.execute(_BY_USER, given):
        found.users[name, source] = ByUser(*map(float, spread))
    return found


def _asked(metric: Metric) -> dict[str, Any]:
    dataset, column = metric.expression
    adds = {"": EVENT, "ITEMS": ITEM}.get(dataset) or {EVENT_VALUE: VALUE, TIMESTAMP: TIME}.get(column, PROPERTY)
    asked = {"name": metric.name, "event_type": metric.event_type, "after": metric.after, "adds": adds}
    return {**asked, "key": property_name(column) if adds == PROPERTY else None}


def _of_items(
    settings: Settings, conn: Connection, attribution: Attribution, rows: Sequence[Any], found: Streamed
) -> list[Sum]:
    """Sums of items' values, from how often each item was there in each window."""
    import pyarrow as pa

    columns = zip(*((*row[:4], row[6]) for row in rows), strict=True) if rows else ((),) * 5
    kinds = (pa.string(), pa.string(), pa.int64(), pa.string(), pa.int64())
    names = ("metric", "source", "start", "item_id", "events")
    taken = pa.table({name: pa.array(column, kind) for name, column, kind in zip(names, columns, kinds, strict=True)})
    sums: list[Sum] = []
    assert attribution.resource.group_id is not None
    with (
        tempfile.TemporaryDirectory(prefix="op-attribution-") as folder,
        closing(open_database(Path(folder))) as duckdb,
    ):
        work = Path(folder)
        values = item_values(settings, conn, attribution.resource.group_id, attribution.item_columns(), work)
        duckdb.register("taken", taken)
        duckdb.register("item_values", values)
        for metric in (one for one in attribution.metrics if one.sums_items):
            value = f"v.{quoted(metric.expression.column)}"
            query = f"""
                SELECT metric, source, start, fsum({value} * events), sum(events)::BIGINT
                FROM taken JOIN item_values v ON v.{ITEM_ID} = taken.item_id
                WHERE metric = $name AND {value} IS NOT NULL GROUP BY ALL ORDER BY ALL
            """
            made = [Sum(*row) for row in duckdb.execute(query, {"name": metric.name}).fetchall()]
            of_type = sum(row[6] for row in rows if row.name == metric.name)
            found.without_value[metric.name] = of_type - sum(one.events for one in made)
            sums += made
    return sums
