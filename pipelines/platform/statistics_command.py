"""`openpersonalize statistics`: what a dataset group holds, for a person or as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime

from pipelines.datasets.statistics import Statistics, of_group
from pipelines.platform.finding import find
from pipelines.registry.database import engine
from pipelines.settings import Settings

WIDTH = 22


def collect(settings: Settings, group: str) -> list[Statistics]:
    """Of every dataset of the group with that ARN, name or id; raises finding.NotFound."""
    database = engine(settings, pool_size=1)
    try:
        with database.connect() as conn:
            return of_group(settings, conn, find(conn, "DatasetGroup", group, "dataset group"))
    finally:
        database.dispose()


def as_json(found: list[Statistics]) -> str:
    """A list with one object a dataset."""
    return json.dumps([asdict(one) for one in found], indent=1, ensure_ascii=False)


def lines(found: list[Statistics]) -> list[str]:
    """A table a dataset, as plain text."""
    shown: list[str] = []
    for one in found:
        heading = f"{one.rows:,} rows in {_counted(one.parts, 'part')}, {one.bytes / 1e6:,.1f} MB"
        shown += ["", f"{one.dataset_type:<{WIDTH + 2}}{heading if one.parts else 'no bulk data'}"]
        shown += [f"  {label:<{WIDTH}}{value}" for label, value in _table(one) if value]
    return shown[1:] or ["the group has no datasets"]


def _table(one: Statistics) -> list[tuple[str, str]]:
    """Label and value; what there is nothing to say about has no value."""
    return [
        ("last import", _import(one)),
        ("streamed", _streamed(one)),
        (", ".join(one.distinct), ", ".join(f"{count:,}" for count in one.distinct.values())),
        ("from, to", f"{_moment(one.first)}, {_moment(one.last)} UTC" if one.first is not None else ""),
        ("without interactions", ", ".join(f"{name} {share:.1%}" for name, share in one.idle.items())),
        ("event types", ", ".join(f"{name} {count:,}" for name, count in one.event_types.items())),
        ("filled", ", ".join(f"{name} {100 * share:.4g} %" for name, share in one.filled.items())),
        ("not counted", one.uncounted or ""),
    ]


def _import(one: Statistics) -> str:
    job = one.last_import
    if job is None:
        return "none yet"
    said = f"{job['name']}, {job['status']} {job['at']}"
    if "kept" in job:
        said += f": {job['kept']:,} rows kept, {job['rejected']:,} rejected"
    return f"{said}: {job['reason']}" if job["reason"] else said


def _streamed(one: Statistics) -> str:
    rows = one.streamed
    if not rows["total"]:
        return "nothing"
    return (
        f"{_counted(rows['total'], 'row')}, {rows['since_last_import']:,} since the last import, "
        f"{rows['since_last_training']:,} since the last training"
    )


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def _moment(seconds: int | None) -> str:
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
