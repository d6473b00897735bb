"""What a solution's versions were made from and by, how good they are and who serves them.

The registry says who serves; what a version was made by stands in its commit, which nothing changes afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from pipelines.datasets.deployed import drift_of
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.repository import CommandFailed, GroupRepository
from pipelines.settings import Settings
from pipelines.versions.lookup import campaigns_of, challenger, dropped

PARAMS = "params.yaml"
JOB_ID_LENGTH = 16


@dataclass(frozen=True)
class Taken:
    """A snapshot that a version was trained from."""

    dataset_type: str
    tag: str
    rows: int
    job: str
    """Name of the job that made it, an import's or a data deletion's; its id once it is gone."""


@dataclass(frozen=True)
class Past:
    """A version as its history has it."""

    short: str
    """The end of its ARN: what commands take for it."""
    arn: str
    id: str
    name: str
    status: str
    failure_reason: str | None
    created: str
    """ISO 8601, UTC."""
    mode: str
    """FULL or UPDATE."""
    training: str
    """MANUAL or AUTOMATIC."""
    tag: str | None
    """None until it is made, and after it was dropped."""
    dropped: str | None
    """Why it can't be deployed any more."""
    serves: list[str]
    """Names of the campaigns that serve it."""
    coming: list[str]
    """Names of the campaigns that are being updated to it."""
    held: str | None
    """Why it waits for a person before campaigns follow."""
    late: str | None
    """Of one that is not finished: that it takes long, and where to look."""
    drift: str | None
    """That the world has moved on since it was trained, when it is critical; of what is deployed."""
    base: str | None
    """Of an UPDATE: short id of the version whose weights it has."""
    updates: int
    """Automatic updates since it was trained."""
    snapshots: list[Taken] = field(default_factory=list)
    event_cutoff: int = 0
    """Number of the newest streamed event that it knows."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """params.yaml of its commit; nothing when there is none."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def code(self) -> Mapping[str, str]:
        return self.params.get("code", {})  # type: ignore[no-any-return]


def short(version: Resource) -> str:
    """The end of its ARN, 8 hex digits."""
    return version.arn.rpartition("/")[2]


def versions_of(settings: Settings, conn: Connection, solution: Resource) -> list[Past]:
    """Every version of a solution, the newest first."""
    repository = GroupRepository(settings, str(solution.group_id))
    return [past(repository, conn, one) for one in reversed(store.children(conn, solution.id, "SolutionVersion"))]


def past(repository: GroupRepository, conn: Connection, version: Resource) -> Past:
    """One version of the group; raises RepositoryError when its repository cannot be read."""
    internal = version.internal
    reason, campaigns = dropped(version), campaigns_of(conn, version)
    tag = internal.get("tag") if reason is None else None
    base = store.get(conn, id=internal["base"]) if internal.get("base") else None
    report = internal.get("report") or {}
    return Past(
        short=short(version),
        arn=version.arn,
        id=version.id,
        name=version.name,
        status=str(version.status),
        failure_reason=version.failure_reason,
        created=version.created_at.isoformat(timespec="seconds"),
        mode=version.doc.get("trainingMode", "FULL"),
        training=version.doc.get("trainingType", "MANUAL"),
        tag=tag,
        dropped=reason,
        serves=[_name(one, version) for one in campaigns if _serves(one, version)],
        coming=[one.name for one in campaigns if not _serves(one, version)],
        held=_held(internal),
        late=internal.get("late") if version.status in store.UNFINISHED else None,
        drift=_drift(conn, version) if campaigns else None,
        base=short(base) if base is not None else None,
        updates=len(internal.get("updates") or ()),
        snapshots=taken(conn, internal),
        event_cutoff=internal.get("event_cutoff", 0),
        params=committed_params(repository, tag) if tag else {},
        metrics=internal.get("metrics", {}),
        warnings=[warned["text"] for warned in report.get("warnings", ())],
    )


def _serves(campaign: Resource, version: Resource) -> bool:
    there = (campaign.doc.get("solutionVersionArn"), challenger(campaign))
    return campaign.status == store.ACTIVE and version.arn in there


def _name(campaign: Resource, version: Resource) -> str:
    return f"{campaign.name} as B of an experiment" if challenger(campaign) == version.arn else campaign.name


def _held(internal: Mapping[str, Any]) -> str | None:
    held = internal.get("held")
    return str(held["reason"]) if held and not held.get("decision") else None


def _drift(conn: Connection, version: Resource) -> str | None:
    solution = store.get(conn, id=version.parent_id)
    found = drift_of(solution, version.id) if solution is not None else None
    return str(found["hint"]) if found and found["hint"] else None


def taken(conn: Connection, frozen: Mapping[str, Any]) -> list[Taken]:
    """The snapshots among what `claim` wrote down."""
    found = []
    for kind, snapshot in sorted(frozen.get("snapshots", {}).items()):
        job_id = job_of(snapshot["tag"])
        job = store.get(conn, id=job_id)
        found.append(Taken(kind, snapshot["tag"], snapshot["rows"], job.name if job is not None else job_id))
    return found


def job_of(tag: str) -> str:
    """Id of the job that made a snapshot; what was compacted or rewritten has a suffix."""
    return tag.rpartition("/")[2][:JOB_ID_LENGTH]


def committed_params(repository: GroupRepository, tag: str) -> dict[str, Any]:
    """params.yaml at a version's tag; empty when a data deletion job has left its artefact alone, or the tag is lost."""
    import yaml

    try:
        found: dict[str, Any] = yaml.safe_load(repository.show(tag, PARAMS))
    except (CommandFailed, FileNotFoundError):  # the latter: the repository is lost, and the registry is not
        return {}
    return found


def flat(values: Mapping[str, Any], above: Sequence[str] = ()) -> dict[str, Any]:
    """{a: {b: 1}} -> {"a.b": 1}."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        path = [*above, str(name)]
        found |= flat(value, path) if isinstance(value, dict) and value else {".".join(path): value}
    return found
