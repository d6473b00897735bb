"""What a metric attribution says of an import: the sums of an INCREMENTAL one are kept, and a file of any is written on
request (publishAttributionMetricsToS3).

Rows that are equal in every field are one, as everywhere; a row that an earlier import or PutEvents brought too counts
again, as on AWS. A recommendationId of the file is known for as long as answers are kept, a day; then it names no source.
"""

from __future__ import annotations

import csv
import logging
import shutil
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, insert, text

from pipelines.datasets import attribution as attributions
from pipelines.datasets.attribution import PUBLISH, UNDEFINED, WINDOW_SECONDS, Attribution, Metric, Sum
from pipelines.datasets.errors import ExportRefused, ImportRefused
from pipelines.datasets.item_values import item_values
from pipelines.datasets.reading import open_database
from pipelines.datasets.schema import EVENT_TYPE, ITEM_ID, TIMESTAMP
from pipelines.datasets.snapshot import Snapshot
from pipelines.datasets.target import find_target
from pipelines.datasets.values import quoted
from pipelines.datasets.values import text as literal
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.store import Resource
from pipelines.registry.tables import attribution_sums
from pipelines.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)

HEADER = ("METRIC_NAME", "EVENT_TYPE", "VALUE", "MATH_FUNCTION", "EVENT_ATTRIBUTION_SOURCE", "TIMESTAMP")
BATCH_IDS = 10_000
_SOURCE, _ANSWER = "EVENT_ATTRIBUTION_SOURCE", "RECOMMENDATION_ID"

_ANSWERED = text(
    """
    SELECT DISTINCT ON (s.recommendation_id) s.recommendation_id, c.arn
    FROM openpersonalize.served s JOIN openpersonalize.resources c ON c.id = s.campaign_id
    WHERE s.recommendation_id = ANY(:ids) AND c.group_id = :group_id
    """
)


@dataclass(frozen=True)
class Counted:
    """The sums of one import."""

    attribution: Attribution | None
    """With the metrics that were there when the import was asked for; None: there is nothing to count for."""
    sums: Sequence[Sum] = ()


def count(settings: Settings, job: Resource, snapshot: Snapshot, work: Path) -> Counted:
    """Add up the rows that an import brought, and write the report if the job asks for it: the same when repeated.

    `snapshot` is the one that the import made, `work` a folder for scratch. Raises ImportRefused when the report may not be
    written where the attribution wants it, SourceUnreachable, DiskFull, RepositoryError.
    """
    found = _summed(settings, job, snapshot, work) or Counted(None)
    if job.doc.get(PUBLISH):
        _publish(settings, job, found, work)
    return found


def _summed(settings: Settings, job: Resource, snapshot: Snapshot, work: Path) -> Counted | None:
    if snapshot.manifest.dataset_type != "INTERACTIONS" or EVENT_TYPE not in snapshot.schema.names:
        return None
    assert job.group_id is not None
    scratch = work / "attribution"
    # What an attempt that was killed has left.
    shutil.rmtree(scratch, ignore_errors=True)
    with transaction(settings) as conn:
        found = attributions.of_group(conn, job.group_id)
        if found is None:
            return None
        metrics = tuple(metric for metric in found.metrics if metric.since <= job.created_at)
        counting = Attribution(found.resource, metrics)
        with closing(open_database(scratch)) as duckdb:
            _arrived(duckdb, conn, counting, snapshot, snapshot.directory / "parts" / f"{job.id}.parquet")
            if counting.item_columns():
                values = item_values(settings, conn, job.group_id, counting.item_columns(), scratch)
                duckdb.register("item_values", values)
            return Counted(counting, [one for metric in metrics for one in _sums(duckdb, metric, snapshot)])


def _publish(settings: Settings, job: Resource, found: Counted, work: Path) -> None:
    destination = found.attribution.destination if found.attribution is not None else None
    if found.attribution is None or destination is None:
        log.warning("%s: no report: the metric attribution, or its s3DataDestination, went away meanwhile", PUBLISH)
        return
    path = work / file_name(job)
    path.write_text(report(found.attribution.metrics, _of_most_sources(found.sums)), encoding="utf-8")
    try:
        with find_target(settings, destination["path"], destination.get("kmsKeyArn")) as target:
            target.put(path)
    except ExportRefused as refused:
        raise ImportRefused(
            f"{PUBLISH}: the report cannot be written to the metric attribution's s3DataDestination: {refused}"
        ) from None
    log.info("%s of %d sums is at %s", path.name, len(found.sums), destination["path"])


def keep(conn: Connection, job: Resource, found: Counted) -> None:
    """Put the sums of an INCREMENTAL import beside those of the events, in the transaction that makes it ACTIVE."""
    if found.attribution is None or job.doc.get("importMode") != "INCREMENTAL":
        return
    # Held, so that a metric that is taken off takes its sums along.
    now = store.get(conn, id=found.attribution.resource.id, lock=True)
    there = attributions.of_resource(now).metrics if now is not None and now.status == store.ACTIVE else ()
    counting = {metric.name for metric in found.attribution.metrics if metric in there}
    rows = [
        {
            "attribution_id": found.attribution.resource.id,
            "import_job_id": job.id,
            "metric": one.metric,
            "source": one.source,
            "window_start": one.start,
            "value": one.value,
            "events": one.events,
        }
        for one in found.sums
        if one.metric in counting
    ]
    if rows:
        conn.execute(insert(attribution_sums), rows)


# The file ----------------------------------------------------------------------------------------------------------------


def file_name(job: Resource) -> str:
    """In milliseconds, so that imports of several groups may share a folder."""
    mode, asked = job.doc.get("importMode", "FULL"), round(job.created_at.timestamp() * 1000)
    return f"AggregatedAttributionMetrics - {mode} - {asked}.csv"


def _of_most_sources(sums: Sequence[Sum]) -> list[Sum]:
    """Those of the sources with the most events, as far as there may be sources."""
    events = attributions.events_by_source(sums)
    sources = sorted((name for name in events if name != UNDEFINED), key=lambda name: (-events[name], name))
    left = sources[attributions.MOST_SOURCES :]
    if left:
        log.warning(
            "%d of %d event attribution sources are left out of the report, those with the fewest events: at most %d "
            "can be told apart",
            len(left), len(sources), attributions.MOST_SOURCES,
        )  # fmt: skip
    return attributions.of_sources(sums, [*sources[: attributions.MOST_SOURCES], UNDEFINED])


def report(metrics: Iterable[Metric], sums: Iterable[Sum]) -> str:
    """CSV as AWS writes it, newest window first: names and event types in upper case, functions in lower case."""
    by_name = {metric.name: metric for metric in metrics}
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    for one in sorted(sums, key=lambda one: (one.metric, -one.start, one.source)):
        metric = by_name[one.metric]
        value = attributions.rounded(one.value)
        writer.writerow((metric.name.upper(), metric.event_type.upper(), value, metric.function, one.source, one.start))
    return out.getvalue()


# Sums --------------------------------------------------------------------------------------------------------------------


def _arrived(
    duckdb: DuckDBPyConnection, conn: Connection, attribution: Attribution, snapshot: Snapshot, part: Path
) -> None:
    """Make view `arrived`: the part's rows, with codes for ids, and their event type, source and window."""
    names = snapshot.schema.names
    rows = f"read_parquet({literal(str(part))})"
    own = f"NULLIF(trim({_SOURCE}), '')" if _SOURCE in names else "NULL"
    ids: list[str] = []
    if _ANSWER in names:
        unnamed = f"SELECT DISTINCT {_ANSWER} FROM {rows} WHERE {own} IS NULL AND {_ANSWER} IS NOT NULL"
        ids = [id for (id,) in duckdb.execute(unnamed).fetchall()]
    duckdb.register("answered", _answered(conn, attribution.resource.group_id or "", ids))
    answer = f"answered.id = r.{_ANSWER}" if _ANSWER in names else "false"
    # With spaces, as no field of a schema can be called.
    duckdb.execute(
        f'CREATE VIEW arrived AS SELECT r.*, lower(r.{EVENT_TYPE}) AS "event type", '
        f'r.{TIMESTAMP} // {WINDOW_SECONDS} * {WINDOW_SECONDS} AS "window start", '
        f'COALESCE({own}, answered.arn, {literal(UNDEFINED)}) AS "its source" FROM {rows} r LEFT JOIN answered ON {answer}'
    )


def _answered(conn: Connection, group_id: str, ids: Sequence[str]) -> pa.Table:
    """Of those recommendationIds that one of the group's campaigns answered: id and its arn."""
    import pyarrow as pa

    found: list[Any] = []
    for n in range(0, len(ids), BATCH_IDS):
        found += conn.execute(_ANSWERED, {"ids": ids[n : n + BATCH_IDS], "group_id": group_id})
    columns = ([row[place] for row in found] for place in (0, 1))
    return pa.table({name: pa.array(column, pa.string()) for name, column in zip(("id", "arn"), columns, strict=True)})


def _sums(duckdb: DuckDBPyConnection, metric: Metric, snapshot: Snapshot) -> list[Sum]:
    column, names = metric.expression.column, snapshot.schema.names
    joins = ""
    if metric.sums_items:
        value = f"v.{quoted(column)}"
        joins = (
            f"JOIN ({snapshot.dictionary(ITEM_ID)}) item ON item.code = arrived.{ITEM_ID} "
            f"JOIN item_values v ON v.{ITEM_ID} = item.id"
        )
    elif metric.expression.dataset:
        # By its decimal, so that 9.99 of a column of 32 bits is 9.99.
        value = f"CAST(CAST({quoted(column)} AS VARCHAR) AS DOUBLE)" if column in names else "NULL::DOUBLE"
    else:
        value = "1::DOUBLE"
    query = f"""
        SELECT "its source", "window start", fsum({value}), count({value}) FROM arrived {joins}
        WHERE "event type" = lower($type) GROUP BY ALL HAVING count({value}) > 0 ORDER BY ALL
    """
    return [Sum(metric.name, *row) for row in duckdb.execute(query, {"type": metric.event_type}).fetchall()]
