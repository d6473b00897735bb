"""`openpersonalize push` and `pull`: a dataset group's versions and snapshots in another place, and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection

from pipelines.platform.finding import find
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.store import Resource
from pipelines.repository import GroupRepository
from pipelines.repository.moving import Moved, OnObject, pull, push
from pipelines.settings import Settings
from pipelines.versions.history import job_of
from pipelines.versions.lookup import DROPPED, NO_LONGER_REPRODUCIBLE


def move_out(settings: Settings, given: str, place: str, on_object: OnObject) -> Moved:
    """To `place`, a folder or s3://bucket/prefix, under the group's id; raises NotFound or RepositoryError."""
    return push(_repository(settings, given)[1], _absolute(place), on_object)


def move_in(settings: Settings, given: str, place: str, on_object: OnObject) -> Moved:
    """From there. What the registry does not know, or says was removed with deleted users or by `gc`, stays there."""
    group, repository = _repository(settings, given)
    with transaction(settings) as conn:
        wanted = _known(conn, group)
    return pull(repository, _absolute(place), wanted, on_object)


def _repository(settings: Settings, given: str) -> tuple[Resource, GroupRepository]:
    with transaction(settings) as conn:
        group = find(conn, "DatasetGroup", given, "dataset group")
    return group, GroupRepository(settings, group.id)


def _absolute(place: str) -> str:
    return place if "://" in place else str(Path(place).absolute())


def _known(conn: Connection, group: Resource) -> Callable[[str], bool]:
    there = {one.id: one for one in store.in_group(conn, group.id) if not one.is_deleting}
    gone = (DROPPED, NO_LONGER_REPRODUCIBLE)

    def wanted(tag: str) -> bool:
        maker = there.get(job_of(tag))
        return tag.split("/")[1] in there and maker is not None and not any(map(maker.internal.get, gone))

    return wanted


def lines(found: Moved, what: str) -> list[str]:
    """For a person; `what` is `pushed` or `pulled`."""
    shown = [
        f"{what} {found.objects:,} objects, {found.bytes / 1e6:,.1f} MB; all {found.checked:,} that tags name are there"
    ]
    for start, words in (("sv/", "versions and updates"), ("data/", "snapshots")):
        new, old = (sum(tag.startswith(start) for tag in tags) for tags in (found.tags, found.there))
        shown.append(f"  {words}: {new:,}{f' new, {old:,} were there' if what == 'pulled' else ''}")
    if found.removed:
        shown.append(f"  removed there: {found.removed:,} objects that nothing names any more")
    shown += [f"  {tag} names another commit there; the one here stays" for tag in found.differing]
    return shown
