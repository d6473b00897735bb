"""What a dataset group holds, in numbers (spec: datasets.md section 12).

Counted from the registry, the streamed tables, the footers of the snapshots' Parquet files and their coded columns:
25 million interactions take about a second. Where parts repeat a record, the newest counts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from pipelines.datasets.reading import open_database
from pipelines.datasets.schema import EVENT_TYPE, ITEM_ID, TIMESTAMP, USER_ID
from pipelines.datasets.snapshot import Snapshot
from pipelines.datasets.values import quoted
from pipelines.datasets.values import text as literal
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.repository.cached import link_cached
from pipelines.repository.group import GroupRepository
from pipelines.settings import Settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

COUNTED = {USER_ID: "users", ITEM_ID: "items", "ACTION_ID": "actions"}
SHOWN_TYPES = 20
_STREAMED = {
    "INTERACTIONS": ("events", "group_id"),
    "ACTION_INTERACTIONS": ("action_events", "dataset_id"),
}


@dataclass
class Statistics:
    """Of one dataset."""

    dataset_type: str
    arn: str
    rows: int = 0
    """Bulk data."""
    parts: int = 0
    bytes: int = 0
    last_import: dict[str, Any] | None = None
    """The newest import job: name, status, when, kept, rejected, report, reason."""
    streamed: dict[str, int] = field(default_factory=dict)
    """Rows that came one by one: in all, since the last import, since the last training."""
    distinct: dict[str, int] = field(default_factory=dict)
    """users, items, actions that bulk rows have."""
    idle: dict[str, float] = field(default_factory=dict)
    """Share of the group's imported users, items or actions that no bulk interaction has."""
    first: int | None = None
    last: int | None = None
    """TIMESTAMP, epoch seconds."""
    event_types: dict[str, int] = field(default_factory=dict)
    """Most frequent first."""
    filled: dict[str, float] = field(default_factory=dict)
    """Share of rows with a value, by column that is no id."""
    uncounted: str | None = None
    """Why the bulk data could not be looked at."""


def of_group(settings: Settings, conn: Connection, group: Resource) -> list[Statistics]:
    """Of every dataset of the group, in the order of their creation."""
    datasets = [one for one in store.in_group(conn, group.id, "Dataset") if not one.is_deleting]
    trained = [v for v in store.in_group(conn, group.id, "SolutionVersion") if v.status == store.ACTIVE]
    found = {one.doc["datasetType"]: _registered(conn, one, trained[-1] if trained else None) for one in datasets}
    with tempfile.TemporaryDirectory(prefix="op-statistics-") as folder:
        connection = open_database(Path(folder) / "spill")
        try:
            _count_bulk(settings, connection, datasets, found, Path(folder))
        finally:
            connection.close()
    return list(found.values())


# Registry and streamed rows -----------------------------------------------------------------------------------


def _registered(conn: Connection, dataset: Resource, trained: Resource | None) -> Statistics:
    facts = dataset.internal.get("snapshot", {})
    jobs = store.children(conn, dataset.id, "DatasetImportJob")
    done = [job for job in jobs if job.status == store.ACTIVE]
    return Statistics(
        dataset.doc["datasetType"],
        dataset.arn,
        rows=facts.get("rows", 0),
        parts=facts.get("parts", 0),
        bytes=facts.get("bytes", 0),
        last_import=_import(jobs[-1]) if jobs else None,
        streamed=_streamed(conn, dataset, done[-1] if done else None, trained),
    )


def _import(job: Resource) -> dict[str, Any]:
    found: dict[str, Any] = {"name": job.name, "status": job.status, "reason": job.failure_reason}
    found["at"] = job.updated_at.isoformat(timespec="seconds")
    return found | {key: job.internal[key] for key in ("kept", "rejected", "report") if key in job.internal}


def _streamed(
    conn: Connection, dataset: Resource, imported: Resource | None, trained: Resource | None
) -> dict[str, int]:
    table, owner = _STREAMED.get(dataset.doc["datasetType"], ("records", "dataset_id"))
    query = (
        f"SELECT count(*), count(*) FILTER (WHERE received_at > :imported OR CAST(:imported AS timestamptz) IS NULL), "
        f"count(*) FILTER (WHERE received_at > :trained OR CAST(:trained AS timestamptz) IS NULL) "
        f"FROM openpersonalize.{table} WHERE {owner} = :owner"
    )
    given = {
        "owner": dataset.group_id if owner == "group_id" else dataset.id,
        "imported": imported.created_at if imported else None,
        "trained": trained.created_at if trained else None,
    }
    names = ("total", "since_last_import", "since_last_training")
    return dict(zip(names, conn.execute(text(query), given).one(), strict=True))


# Bulk data ----------------------------------------------------------------------------------------------------


def _count_bulk(
    settings: Settings,
    connection: DuckDBPyConnection,
    datasets: list[Resource],
    found: Mapping[str, Statistics],
    folder: Path,
) -> None:
    snapshots = {}
    for dataset in datasets:
        kind, facts = dataset.doc["datasetType"], dataset.internal.get("snapshot")
        assert dataset.group_id is not None
        if facts is None:
            continue
        if not link_cached(
            GroupRepository(settings, dataset.group_id), facts["tag"], "snapshot", folder / kind.lower()
        ):
            found[kind].uncounted = "its snapshot lies in the remote only"
            continue
        snapshot = Snapshot.open(folder / kind.lower())
        if snapshot.manifest.parts:
            snapshots[kind] = snapshot
            _count(connection, snapshot, found[kind])
    for log, others in (("INTERACTIONS", ("ITEMS", "USERS")), ("ACTION_INTERACTIONS", ("ACTIONS",))):
        for other in others:
            if log in snapshots and other in snapshots:
                [column] = snapshots[other].schema.id_columns
                found[log].idle[COUNTED[column]] = _idle(connection, snapshots[log], snapshots[other])


def _rows(snapshot: Snapshot) -> str:
    """A relation of all parts' rows; parts from before the schema got more columns give nulls for them."""
    paths = ", ".join(literal(str(snapshot.directory / part.path)) for part in snapshot.manifest.parts)
    return f"read_parquet([{paths}], union_by_name = true)"


def _count(connection: DuckDBPyConnection, snapshot: Snapshot, into: Statistics) -> None:
    schema, rows = snapshot.schema, _rows(snapshot)
    for column in schema.id_columns:
        into.distinct[COUNTED[column]] = int(
            _one(connection, f"SELECT count(*) FROM (SELECT DISTINCT {quoted(column)} FROM {rows})")[0]
        )
    if TIMESTAMP in schema.names:
        into.first, into.last = _one(connection, f"SELECT min({TIMESTAMP}), max({TIMESTAMP}) FROM {rows}")
    if schema.is_event_log and EVENT_TYPE in schema.names:
        into.event_types = dict(
            connection.execute(
                f"SELECT COALESCE({EVENT_TYPE}, '(none)'), count(*) FROM {rows} GROUP BY 1 ORDER BY 2 DESC, 1 "
                f"LIMIT {SHOWN_TYPES}"
            ).fetchall()
        )
    into.filled = _filled(snapshot)


def _filled(snapshot: Snapshot) -> dict[str, float]:
    """From the files' footers, over the rows of all parts."""
    import pyarrow.parquet as pq

    there = dict.fromkeys((one.name for one in snapshot.schema.metadata), 0)
    rows = 0
    for part in snapshot.manifest.parts:
        footer = pq.ParquetFile(snapshot.directory / part.path).metadata
        rows += footer.num_rows
        for group in (footer.row_group(number) for number in range(footer.num_row_groups)):
            for column in (group.column(number) for number in range(group.num_columns)):
                if column.path_in_schema in there:
                    there[column.path_in_schema] += column.num_values - column.statistics.null_count
    return {name: count / rows for name, count in there.items()}


def _idle(connection: DuckDBPyConnection, log: Snapshot, others: Snapshot) -> float:
    """The share of the ids of `others` that no row of `log` has; both have rows."""
    import numpy as np
    import pyarrow as pa

    [column] = others.schema.id_columns
    for name, snapshot in (("log_ids", log), ("other_ids", others)):
        ids = snapshot.ids(column)
        connection.register(name, pa.table({"id": ids, "code": np.arange(len(ids), dtype=np.int32)}))

    def used(ids: str, snapshot: Snapshot) -> str:
        return f"(SELECT id FROM {ids} SEMI JOIN {_rows(snapshot)} r ON r.{quoted(column)} = {ids}.code)"

    whole, seen = _one(
        connection,
        f"SELECT count(*), count(l.id) FROM {used('other_ids', others)} o "
        f"LEFT JOIN {used('log_ids', log)} l ON l.id = o.id",
    )
    return float(1 - seen / whole)


def _one(connection: DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    # All, though it is one: a result that is not at its end keeps the connection.
    [row] = connection.execute(query).fetchall()
    return tuple(row)
