"""From a recommendationId to what gave that answer: campaign, version, commit, data snapshots, imports and their checks.

An answer is kept for 24 hours. Events that name it stay, and say who took what from the list, but not who gave it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.repository import CommandFailed, GroupRepository
from pipelines.settings import Settings
from pipelines.versions.history import Past, Taken, job_of, past, taken
from pipelines.versions.lookup import UPDATES

_SERVED = text(
    "SELECT served_at, campaign_id, solution_version_id, user_id, items, request_id, exploration_weight "
    "FROM openpersonalize.served WHERE recommendation_id = :id ORDER BY served_at DESC LIMIT 1"
)
_EVENTS = text(
    "SELECT group_id, user_key, event_type, item_id, sent_at FROM openpersonalize.events "
    "WHERE recommendation_id = :id ORDER BY id"
)


@dataclass(frozen=True)
class Answer:
    """What the runtime wrote down."""

    at: datetime
    campaign: str
    """ARN, or its id if it was deleted since."""
    version: str
    """The same of the solution version."""
    user: str | None
    items: list[str]
    request_id: str | None
    exploration_weight: float | None


@dataclass(frozen=True)
class Event:
    """What came of it."""

    user: str
    event_type: str
    item: str | None
    sent_at: float
    """Epoch seconds."""


@dataclass(frozen=True)
class Import:
    """A job that a snapshot has rows of."""

    id: str
    name: str
    arn: str
    at: str
    location: str
    mode: str
    kept: int | None
    rejected: int | None
    broken: list[str]
    """What its validation report says of rules that did not hold: `severity: what was seen`."""


@dataclass(frozen=True)
class Source:
    """A snapshot, and the imports that made it, the oldest first."""

    snapshot: Taken
    imports: list[Import]


@dataclass(frozen=True)
class Trace:
    """`answer` is None when it is not kept any more; without it nothing of a version is known."""

    recommendation_id: str
    group: str | None
    answer: Answer | None
    version: Past | None = None
    update: int | None = None
    """The automatic update of the version that was served; None: as it was trained."""
    tag: str | None = None
    commit: str | None = None
    sources: list[Source] = field(default_factory=list)
    event_cutoff: int = 0
    events: list[Event] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def trace(settings: Settings, conn: Connection, recommendation_id: str) -> Trace | None:
    """All that is known of an answer; None when neither it nor an event that names it is there."""
    rows = conn.execute(_EVENTS, {"id": recommendation_id}).all()
    events = [Event(row.user_key, row.event_type, row.item_id, row.sent_at) for row in rows]
    served = conn.execute(_SERVED, {"id": recommendation_id}).one_or_none()
    if served is None:
        if not rows:
            return None
        group = store.get(conn, id=rows[0].group_id)
        return Trace(recommendation_id, group.name if group else rows[0].group_id, None, events=events)
    version = store.get(conn, id=served.solution_version_id)
    campaign = store.get(conn, id=served.campaign_id)
    answer = Answer(
        served.served_at,
        campaign.arn if campaign else served.campaign_id,
        version.arn if version else served.solution_version_id,
        served.user_id,
        list(served.items),
        served.request_id,
        served.exploration_weight,
    )
    if version is None:
        notes = ["The version was deleted with its solution since; nothing more is known of it."]
        return Trace(recommendation_id, None, answer, events=events, notes=notes)
    return _of_version(settings, conn, recommendation_id, answer, version, events)


def _of_version(
    settings: Settings,
    conn: Connection,
    recommendation_id: str,
    answer: Answer,
    version: Resource,
    events: list[Event],
) -> Trace:
    repository = GroupRepository(settings, str(version.group_id))
    found, notes = past(repository, conn, version), []
    update = _update(version, answer.at)
    frozen: dict[str, Any] = update or version.internal
    tag = str(update["tag"]) if update else found.tag
    commit = None
    if found.dropped is not None:
        notes.append(f"Its commit is gone: {found.dropped}")
    elif tag is not None:
        try:
            commit = repository.commit(tag)
        except (CommandFailed, FileNotFoundError):
            notes.append(f"Tag {tag} is gone from the group's repository.")
    group = store.get(conn, id=version.group_id)
    return Trace(
        recommendation_id,
        group.name if group else version.group_id,
        answer,
        found,
        int(update["number"]) if update else None,
        tag,
        commit,
        [Source(one, _imports(conn, one)) for one in taken(conn, frozen)],
        int(frozen.get("event_cutoff", 0)),
        events,
        notes,
    )


def _update(version: Resource, at: datetime) -> dict[str, Any] | None:
    """The newest automatic update that had begun before the answer was given.

    It is served some seconds after it has begun, so within those the one before it may have answered.
    """
    updates = version.internal.get(UPDATES) or ()
    before = [one for one in updates if datetime.fromisoformat(one["at"]) <= at]
    return before[-1] if before else None


def _imports(conn: Connection, snapshot: Taken) -> list[Import]:
    """The last FULL import up to the snapshot's, and the INCREMENTAL ones after it."""
    maker = store.get(conn, id=job_of(snapshot.tag))
    if maker is None:
        return []
    dataset_id = snapshot.tag.split("/")[1]
    jobs = store.children(conn, dataset_id, "DatasetImportJob")
    jobs = [job for job in jobs if job.status == store.ACTIVE and job.updated_at <= maker.updated_at]
    full = [n for n, job in enumerate(jobs) if _mode(job) == "FULL"]
    return [_import(job) for job in jobs[full[-1] if full else 0 :]]


def _mode(job: Resource) -> str:
    return str(job.doc.get("importMode", "FULL"))


def _import(job: Resource) -> Import:
    broken: Sequence[dict[str, str]] = (job.internal.get("judged") or {}).get("broken", ())
    return Import(
        job.id,
        job.name,
        job.arn,
        job.created_at.isoformat(timespec="seconds"),
        str(job.doc["dataSource"]["dataLocation"]),
        _mode(job),
        job.internal.get("kept"),
        job.internal.get("rejected"),
        [f"{one['severity']}: {one['saw']}" for one in broken],
    )
