"""Read a version and its solution from the registry, or say why the work on it must end."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.versions.errors import VersionGone

NO_LONGER_REPRODUCIBLE = "no_longer_reproducible"
"""Member of `internal` of what a data deletion job took inputs or outputs from: {job, when}."""
DROPPED = "dropped"
"""Member of a version's `internal`, true when a data deletion job removed its artefact: it can't be deployed any more."""


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
        return f"solution/{self.solution.id}"

    @property
    def tag(self) -> str:
        """Git tag of the version."""
        return f"sv/{self.solution.id}/{self.version.id}"

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
    """The version with both rows held, which must not have ended yet; raises VersionGone."""
    found = subject(conn, version_id, lock=True)
    if found.version.status not in store.UNFINISHED:
        raise VersionGone(f"Solution version {found.version.arn} is {found.version.status} already.")
    return found
