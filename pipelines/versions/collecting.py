"""Old versions go, with what only they named in Git, cache, remote and Bento store; what anybody still needs stays.

Who keeps the newest N of a solution also keeps what a campaign serves or is being updated to (so a running update can
go back), what a batch job reads, what waits for a person, what is being made or updated, and the version whose weights a
kept UPDATE has. Which go is written down in the transaction that decides it, under the lock that whoever makes a campaign,
a batch job or an update takes too; so a deployed version is never among them, and whoever comes after a crash finishes.
Metrics stay in the registry.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.store import Resource
from pipelines.repository import GroupRepository, RepositoryError
from pipelines.settings import Settings
from pipelines.versions import bentos
from pipelines.versions.lookup import BASE, DROPPED, UPDATING, campaigns_of
from pipelines.versions.proving import LOCK, committed_yaml


@dataclass(frozen=True)
class Decision:
    """What becomes of one version."""

    version: Resource
    kept_for: str | None
    """Why it stays; None: it goes."""


@dataclass(frozen=True)
class Freed:
    """Of one solution. `bytes` lie in the remote, and at most as many in the cache."""

    solution: str
    decisions: list[Decision]
    bytes: int


# Unlike AWS, resources: a version's artefact can be dropped while the version stays (`openpersonalize gc`); it cannot
# be deployed then. Disks are yours, and AWS has no operation that deletes one version.
def decide(conn: Connection, solution: Resource, keep_last: int) -> list[Decision]:
    """Of every version that has something to drop, the newest first; `keep_last` is at least 1."""
    versions = [v for v in store.children(conn, solution.id, "SolutionVersion")[::-1] if _has_something(v)]
    active = [version for version in versions if version.status == store.ACTIVE]
    newest = {version.id for version in active[:keep_last]}
    reasons = {v.id: _needed(conn, v) or ("among the newest" if v.id in newest else None) for v in versions}
    for version in versions:
        if version.status == store.CREATE_FAILED and not (active and version.created_at < active[0].created_at):
            reasons[version.id] = "its run can be repeated"
        base = version.internal.get(BASE)
        if reasons[version.id] and base in reasons:
            reasons[base] = reasons[base] or f"{version.arn.rpartition('/')[2]} has its weights"
    return [Decision(version, reasons[version.id]) for version in versions]


def _has_something(version: Resource) -> bool:
    """A training that failed or was stopped has, if only what came after it did."""
    unmade = (store.CREATE_FAILED, store.CREATE_STOPPED)
    failed_early = version.status in unmade and "tag" not in version.internal
    return not (version.internal.get(DROPPED) or failed_early)


def _needed(conn: Connection, version: Resource) -> str | None:
    if version.status in store.UNFINISHED or version.is_deleting:
        return str(version.status)
    if version.internal.get(UPDATING):
        return "it is being updated"
    held = version.internal.get("held")
    if held and not held.get("decision"):
        return "it waits for a person"
    jobs = [job for job in store.children(conn, version.id) if job.status in store.UNFINISHED]
    if jobs:
        return f"batch job {', '.join(job.name for job in jobs)}"
    campaigns = campaigns_of(conn, version)
    return f"campaign {', '.join(one.name for one in campaigns)}" if campaigns else None


def look(settings: Settings, solution: Resource, keep_last: int) -> Freed:
    """What `collect` would do; nothing is changed."""
    with transaction(settings) as conn:
        decisions = decide(conn, solution, keep_last)
    return _freed(settings, solution, decisions)


def collect(settings: Settings, solution: Resource, keep_last: int, now: datetime) -> Freed:
    """Drop what is not kept; the space is free after `purge` of the group's repository."""
    with transaction(settings) as conn:
        # The API's order: group, then what is in it. Whoever makes a campaign or an update holds the group.
        store.get(conn, id=str(solution.group_id), lock=True)
        store.get(conn, id=solution.id, lock=True)
        decisions = decide(conn, solution, keep_last)
        for one in decisions:
            if one.kept_for is None:
                store.update(conn, one.version.id, internal={DROPPED: {"at": now.isoformat()}}, touch=False)
        versions = store.children(conn, solution.id, "SolutionVersion")
    freed = _freed(settings, solution, decisions)
    _remove(settings, solution, [version for version in versions if _is_ours(version)] + _going(decisions))
    return freed


def _going(decisions: Collection[Decision]) -> list[Resource]:
    return [one.version for one in decisions if one.kept_for is None]


def _is_ours(version: Resource) -> bool:
    """Whether an earlier call has dropped it, and maybe did not get further."""
    return isinstance(version.internal.get(DROPPED), dict)


def _remove(settings: Settings, solution: Resource, versions: Collection[Resource]) -> None:
    repository = GroupRepository(settings, str(solution.group_id))
    tags = repository.tags(f"sv/{solution.id}")
    doomed = _tags_of(solution, versions, tags)
    if doomed:
        repository.drop(doomed)
    kept = [tag for tag in tags if tag not in doomed]
    for branch in ("solution", "update"):
        # Its newest commit may be that of a version that went.
        repository.release(f"{branch}/{solution.id}", kept)
    for version in versions:
        bentos.remove(settings, solution.id, version.id)
        bentos.remove_leftovers(settings, solution.id, version.id)


def _tags_of(solution: Resource, versions: Collection[Resource], tags: Collection[str]) -> list[str]:
    """The versions' own and those of their updates."""
    own = {f"sv/{solution.id}/{version.id}" for version in versions}
    return [tag for tag in tags if tag.partition(".")[0] in own]


def _freed(settings: Settings, solution: Resource, decisions: Collection[Decision]) -> Freed:
    repository = GroupRepository(settings, str(solution.group_id))
    tags = repository.tags("sv")
    doomed = set(_tags_of(solution, _going(decisions), tags))
    named: dict[str, int] = {}
    kept: set[str] = set()
    if doomed:
        for tag in tags:
            outputs = _outputs(repository, tag)
            named |= outputs if tag in doomed else {}
            kept |= set() if tag in doomed else set(outputs)
    size = sum(bytes for md5, bytes in named.items() if md5 not in kept)
    return Freed(solution.name, list(decisions), size)


def _outputs(repository: GroupRepository, tag: str) -> dict[str, int]:
    """Bytes by md5 of what a version's stages made and of its streamed rows; snapshots have tags of their own."""
    added = [path for path in repository.added(tag) if path.endswith(("/streamed", "/artefact"))]
    found = [repository.pointer(tag, path) for path in added]
    try:
        lock = committed_yaml(repository, tag, LOCK)
    except RepositoryError:
        lock = {"stages": {}}  # a data deletion job has left the artefact alone
    found += [out for stage in lock["stages"].values() for out in stage.get("outs", [])]
    return {out["md5"]: int(out.get("size", 0)) for out in found}
