"""`openpersonalize metrics`: what a solution version was measured at, of which AWS's own operation shows a part."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection

from pipelines.platform.finding import NotFound, find, find_version
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.settings import Settings
from pipelines.versions.lookup import BASE
from pipelines.versions.rollout import told


@dataclass(frozen=True)
class Measurements:
    """A version, its report (metrics.json of the stage `evaluate`), and what is to be said of its roll-out, if anything."""

    solution: str
    arn: str
    report: Mapping[str, Any]
    rollout: str | None
    measured: str | None
    """ARN of the version that was measured, if it is another: one of trainingMode UPDATE has its base's numbers."""


def collect(settings: Settings, given: str) -> Measurements:
    """Of the version with that ARN, name or id, or of the newest ACTIVE one of such a solution; raises NotFound."""
    with transaction(settings) as conn:
        version = _version(conn, given)
        solution = store.get(conn, id=version.parent_id or "")
        base = store.get(conn, id=version.internal[BASE]) if BASE in version.internal else None
    assert solution is not None
    report = version.internal.get("report")
    if report is None:
        raise NotFound(f"{_state(version)}; its numbers are there once it is ACTIVE")
    return Measurements(solution.name, version.arn, report, told(version), base.arn if base else None)


def as_json(found: Measurements) -> str:
    """One object: solution, arn, report, rollout, measured."""
    return json.dumps(asdict(found), indent=1, ensure_ascii=False)


def _version(conn: Connection, given: str) -> store.Resource:
    try:
        solution = find(conn, "Solution", given, "solution")
    except NotFound:
        return find_version(conn, given, "solution or solution version")
    versions = store.children(conn, solution.id, "SolutionVersion")
    active = [version for version in versions if version.status == store.ACTIVE]
    if not active:
        newest = f": {_state(versions[-1])}" if versions else ""
        raise NotFound(f"solution {solution.name} has no version that is ACTIVE{newest}")
    return active[-1]


def _state(version: store.Resource) -> str:
    reason = f" ({version.failure_reason})" if version.failure_reason else ""
    return f"{version.arn} is {version.status}{reason}"
