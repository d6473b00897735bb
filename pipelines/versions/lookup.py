"""Read a version and its solution from the registry, or say why the work on it must end."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.versions.errors import VersionGone, VersionStopped

NO_LONGER_REPRODUCIBLE = "no_longer_reproducible"
"""Member of `internal` of what a data deletion job took inputs or outputs from: {job, when}."""
DROPPED = "dropped"
"""Member of a version's `internal`, set when its artefact was removed, so that it can't be deployed any more: true by a
data deletion job, {at} by a person who keeps the newest only (pipelines/versions/collecting.py). See `dropped`."""

BASE = "base"
"""Member of the `internal` of a version of trainingMode UPDATE: the id of the FULL version whose weights it takes."""
UPDATES = "updates"
"""Member of a FULL version's `internal`: its automatic updates whose tags are kept, newest last, each {number, tag,
edition, at, rows, items} and what it was made from: {snapshots, event_cutoff, record_cutoffs}."""
UPDATING = "updating"
"""The same of the one that is being made: {number, edition, at} and what from; None: none is."""

STOPPED = frozenset({store.CREATE_STOPPING, store.CREATE_STOPPED})
"""Of a version whose making a client has stopped: it cannot be taken up again."""


@dataclass(frozen=True)
class Subject:
    """A solution version with the solution that it belongs to."""

    version: Resource
    solution: Resource

    @property
    def group_id(self) -> str:
        assert self.solution.group_id is not None
        return self.solution.group_id

    @property
    def branch(self) -> str:
        """Branch of the group's repository: one version of a solution is made at a time."""
        return self.update_branch if BASE in self.version.internal else f"solution/{self.solution.id}"

    @property
    def update_branch(self) -> str:
        """Where updates are made: one at a time, and none waits for a training."""
        return f"update/{self.solution.id}"

    @property
    def tag(self) -> str:
        """Git tag of the version."""
        return f"sv/{self.solution.id}/{self.version.id}"

    @property
    def artefact_tag(self) -> str:
        """Git tag of what is served of it: that of its newest automatic update, if it has one."""
        updates = self.version.internal.get(UPDATES)
        return str(updates[-1]["tag"]) if updates else self.tag

    @property
    def bento(self) -> str:
        """Tag of its BentoML model and of its Bento."""
        return f"solution-{self.solution.id}:{self.version.id}"


def subject(conn: Connection, version_id: str, *, lock: bool = False) -> Subject:
    """The version and its solution; raises VersionGone. `lock` holds both rows, the solution's first.

    The order is that of the API's deletes, so neither waits for the other in a circle.
    """
    version = store.get(conn, id=version_id)
    if version is None or version.parent_id is None:
        raise VersionGone(f"Solution version {version_id} does not exist any more.")
    solution = store.get(conn, id=version.parent_id, lock=lock)
    if lock:
        version = store.get(conn, id=version_id, lock=True)
    if solution is None or version is None or solution.is_deleting or version.is_deleting:
        raise VersionGone(f"Solution version {version_id} was deleted while it was being made.")
    return Subject(version, solution)


def unfinished(conn: Connection, version_id: str) -> Subject:
    """The version with both rows held, which must not have ended yet; raises VersionGone, VersionStopped."""
    found = subject(conn, version_id, lock=True)
    refuse_stopped(found.version)
    if found.version.status not in store.UNFINISHED:
        raise VersionGone(f"Solution version {found.version.arn} is {found.version.status} already.")
    return found


def refuse_stopped(version: Resource) -> None:
    """Raise VersionStopped for a version that a client has stopped."""
    if version.status in STOPPED:
        raise VersionStopped(f"Solution version {version.arn} was stopped; create a new version to train again.")


def dropped(version: Resource) -> str | None:
    """Why a version's artefact is gone, as a sentence about it that goes on with what to do; None if it is there."""
    found = version.internal.get(DROPPED)
    if not found:
        return None
    if isinstance(found, dict):
        return (
            f"{version.arn} was dropped on {found['at'][:10]} by `openpersonalize gc`, which kept newer versions; "
            "create a new solution version."
        )
    return (
        f"the model of {version.arn} held data of users who were deleted and went with them; "
        "create a new solution version."
    )


def campaigns_of(conn: Connection, version: Resource) -> list[Resource]:
    """The campaigns that serve the version or are to serve it, to all users or to some."""
    return [
        campaign
        for campaign in store.in_group(conn, str(version.group_id), "Campaign")
        if not campaign.is_deleting
        and (version.arn == campaign.doc.get("solutionVersionArn") or wants(campaign, version))
    ]


def wants(campaign: Resource, version: Resource) -> bool:
    """Whether the campaign was last told to serve the version, to all users or to some."""
    return version.arn in (campaign.internal["deployment"]["solution_version_arn"], challenger(campaign))


def challenger(campaign: Resource) -> str | None:
    """ARN of the version that some users get because of an experiment, or are to get; None: there is no experiment."""
    arn: str | None = campaign.internal.get("deployment", {}).get("challenger", {}).get("solution_version_arn")
    return arn
