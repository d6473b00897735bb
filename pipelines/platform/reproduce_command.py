"""`openpersonalize reproduce` and `checkout`: a version's commit in a clone of its own, made again or to work in."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from pipelines.platform.finding import NotFound, find_version
from pipelines.registry.database import transaction
from pipelines.registry.store import Resource
from pipelines.repository import GroupRepository
from pipelines.repository.clones import clone
from pipelines.repository.processes import OnLine
from pipelines.settings import Settings
from pipelines.versions.errors import VersionFailed
from pipelines.versions.lookup import NO_LONGER_REPRODUCIBLE, UPDATES, dropped
from pipelines.versions.proving import Difference, Output, differences, prove


@dataclass(frozen=True)
class Made:
    """A version, or one of its automatic updates, as it was committed."""

    version: Resource
    tag: str
    repository: GroupRepository


@dataclass(frozen=True)
class Proof:
    """`outputs` is None when nothing was run, because the installed code is another."""

    arn: str
    tag: str
    differences: list[Difference]
    outputs: list[Output] | None

    @property
    def holds(self) -> bool:
        """Whether every output came out the same."""
        return self.outputs is not None and all(output.is_same for output in self.outputs)


def made(settings: Settings, conn: Connection, given: str) -> Made:
    """The version that `given` names (`<version>.2`: its second automatic update); raises NotFound when it isn't kept."""
    head, dot, number = given.rpartition(".")
    is_update = bool(dot) and number.isdecimal()
    version = find_version(conn, head if is_update else given)
    reason = dropped(version)
    if reason is not None:
        raise NotFound(reason)
    if is_update:
        tags = {str(one["number"]): str(one["tag"]) for one in version.internal.get(UPDATES) or ()}
        if number not in tags:
            raise NotFound(f"{version.arn} has no update {number}; kept are: {', '.join(tags) or 'none'}")
        tag = tags[number]
    else:
        if "tag" not in version.internal:
            failed = f": {version.failure_reason}" if version.failure_reason else ""
            raise NotFound(f"{version.arn} is {version.status}{failed}; nothing of it is committed")
        tag = str(version.internal["tag"])
    return Made(version, tag, GroupRepository(settings, str(version.group_id)))


def reproduce(settings: Settings, given: str, *, anyway: bool, on_line: OnLine) -> Proof:
    """Make the version again and compare; with other code only `anyway`. Raises NotFound, VersionFailed, RepositoryError."""
    with transaction(settings) as conn:
        found = made(settings, conn, given)
    deleted = found.version.internal.get(NO_LONGER_REPRODUCIBLE)
    if deleted:
        raise VersionFailed(
            f"{found.version.arn} cannot be made again: users in its data were deleted on {str(deleted['when'])[:10]} "
            f"by {deleted['job']}, and their data is gone from its inputs"
        )
    other = differences(found.repository, found.tag)
    if other and not anyway:
        return Proof(found.version.arn, found.tag, other, None)
    return Proof(found.version.arn, found.tag, other, prove(settings, found.repository, found.tag, on_line))


def checkout(settings: Settings, given: str, directory: Path) -> str:
    """A clone at the version, with all its data, in `directory`; its tag. Raises NotFound, RepositoryError.

    It appears whole or not at all.
    """
    target = directory.absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise NotFound(f"{target} is there already: name a folder that does not exist yet, or is empty")
    with transaction(settings) as conn:
        found = made(settings, conn, given)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
        new = Path(scratch) / target.name
        clone(found.repository, found.tag, new, Path(scratch) / "site")
        new.rename(target)
    return found.tag
