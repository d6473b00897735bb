"""A group's repository pushed to another place, and back: Git's tags as one bundle beside the objects of DVC.

`<place>/<group id>/files/md5` is what the group's own remote has, object by object, and `<place>/<group id>/repo.bundle` is
what Git takes (`git clone repo.bundle`). So the place can become OPENPERSONALIZE_DVC_REMOTE as it is. A bundle, because
Git cannot push to a bucket; tasks on several machines share tags through a Git remote instead (shared.py).

The bundle is written last and a tag set last, so that either names only what is there. Objects are named by the MD5 of
their bytes, which is checked on the way.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pipelines.repository.errors import RepositoryError
from pipelines.repository.group import GroupRepository
from pipelines.repository.locks import locked
from pipelines.repository.places import Place, place
from pipelines.repository.saving import kept, named

KINDS = ("sv", "data")
"""Tags of versions with their updates, and of snapshots. Imports' reports and rejects stay: a data deletion job that took
one away leaves no mark by which a pull would know."""
BUNDLE = "repo.bundle"
INCOMING = "refs/incoming"
OnObject = Callable[[int, int], None]
"""Told how many of how many objects are there."""


@dataclass(frozen=True)
class Moved:
    """What a push or pull did."""

    tags: list[str]
    """Set by a pull; in a push, all."""
    there: list[str]
    """Those that were there already."""
    differing: list[str]
    """Those of the other place that name another commit than here; ours stay."""
    objects: int
    """Copied."""
    bytes: int
    checked: int
    """Objects that the tags name; all are there now."""
    removed: int = 0
    """Objects that were pushed before and that no tag names any more."""


def push(repository: GroupRepository, base: str, on_object: OnObject) -> Moved:
    """All versions and snapshots, to `<base>/<group id>`; what is there already is not copied. Raises RepositoryError.

    What was pushed before and has no tag any more goes there too: it may be of users who were deleted.
    """
    source, target = place(repository.layout.remote_url), place(_below(base, repository))
    _refuse_own(repository, base)
    with kept(repository), tempfile.TemporaryDirectory(prefix="op-push-") as scratch:
        refs = "".join(f"refs/tags/{tag}\n" for kind in KINDS for tag in repository.tags(kind))
        if not refs:
            raise RepositoryError("nothing was imported or trained in this dataset group yet: there is nothing to push")
        bundle = Path(scratch) / BUNDLE
        # First, so that it says which tags this push is of; those that come meanwhile are for the next.
        repository._git("bundle", "create", "--quiet", str(bundle), "--stdin", stdin=refs.encode())
        tags = _listed(repository, bundle)
        listed = "".join(f"{commit} refs/tags/{tag}\n" for tag, commit in tags.items())
        objects, copied, size = _copy(source, target, named(repository, listed), Path(scratch), on_object)
        target.put(bundle, BUNDLE)
        useless = sorted(target.objects() - set(objects))
        target.remove_objects(useless)
    return Moved(sorted(tags), [], [], copied, size, len(objects), len(useless))


def pull(repository: GroupRepository, base: str, wanted: Callable[[str], bool], on_object: OnObject) -> Moved:
    """The tags that `wanted` takes and what they name, from `<base>/<group id>`; what is here stays as it is.

    Objects that this group's remote lacks come back, also those of tags that are here. Raises RepositoryError.
    """
    source, target = place(_below(base, repository)), place(repository.layout.remote_url)
    _refuse_own(repository, base)
    repository.ensure()
    with kept(repository), tempfile.TemporaryDirectory(prefix="op-pull-") as scratch:
        bundle = source.file(BUNDLE, Path(scratch))
        if bundle is None:
            raise RepositoryError(
                f"{_below(base, repository)} has no {BUNDLE}: nothing of this dataset group was pushed there"
            )
        here = {tag: repository.commit(tag) for tag in repository.tags("")}
        listed = {
            tag: at for tag, at in _listed(repository, bundle).items() if tag.split("/")[0] in KINDS and wanted(tag)
        }
        differing = sorted(tag for tag, commit in listed.items() if here.get(tag, commit) != commit)
        listed = {tag: commit for tag, commit in listed.items() if tag not in differing}
        new = sorted(set(listed) - set(here))
        try:
            _fetch(repository, bundle, new)
            names = named(repository, "".join(f"{commit} refs/tags/{tag}\n" for tag, commit in listed.items()))
            objects, copied, size = _copy(source, target, names, Path(scratch), on_object)
            _set(repository, {tag: listed[tag] for tag in new})
        finally:
            _forget_incoming(repository)
    return Moved(new, sorted(set(listed) & set(here)), differing, copied, size, len(objects))


def _below(base: str, repository: GroupRepository) -> str:
    return f"{base.rstrip('/')}/{repository.group_id}"


def _refuse_own(repository: GroupRepository, base: str) -> None:
    if _below(base, repository) == repository.layout.remote_url:
        raise RepositoryError(f"{base} is OPENPERSONALIZE_DVC_REMOTE, where every version is pushed as it is made")


def _listed(repository: GroupRepository, bundle: Path) -> dict[str, str]:
    """Commits by tag."""
    prefix = "refs/tags/"
    pairs = (line.split(" ", 1) for line in repository._git("bundle", "list-heads", str(bundle)).splitlines())
    return {ref.removeprefix(prefix): commit for commit, ref in pairs if ref.startswith(prefix)}


def _fetch(repository: GroupRepository, bundle: Path, tags: list[str]) -> None:
    """Their commits, under names that nobody looks at until what they name is there."""
    if tags:
        wanted = "".join(f"+refs/tags/{tag}:{INCOMING}/{tag}\n" for tag in tags)
        repository._git("fetch", "--quiet", "--no-tags", "--stdin", str(bundle), stdin=wanted.encode())


def _copy(
    source: Place, target: Place, directories: Iterable[str], scratch: Path, on_object: OnObject
) -> tuple[list[str], int, int]:
    """All objects that the directories name, how many were copied, and their bytes."""
    there = target.objects()
    wanted: dict[str, None] = {}
    for directory in sorted(directories):
        # From either place: what was copied before need not come again.
        found = (target if directory in there else source).object(directory, scratch)
        if found is None:
            raise RepositoryError(f"{source.url} lacks the directory {directory}, which a tag names")
        listing = json.loads(found.read_bytes())
        # Of one directory what is in it first: who has its list has all of it.
        wanted |= dict.fromkeys([*(entry["md5"] for entry in listing), directory])
    missing = [name for name in wanted if name not in there]
    done, size = len(wanted) - len(missing), 0
    for name in missing:
        found = source.object(name, scratch)
        if found is None:
            raise RepositoryError(f"{source.url} lacks the object {name}, which a tag names")
        with found.open("rb") as stream:
            if hashlib.file_digest(stream, "md5").hexdigest() != name.removesuffix(".dir"):
                raise RepositoryError(f"object {name} of {source.url} does not have the bytes that it is named after")
        size += found.stat().st_size
        target.put_object(found, name)
        done += 1
        on_object(done, len(wanted))
    return list(wanted), len(missing), size


def _set(repository: GroupRepository, tags: dict[str, str]) -> None:
    orders = "".join(f"create refs/tags/{tag} {commit}\n" for tag, commit in tags.items())
    with locked(repository.layout.lock("repository")):
        repository._git("update-ref", "--stdin", stdin=orders.encode())
        if repository._shared is not None:
            repository._shared.give(repository.layout.git_dir)


def _forget_incoming(repository: GroupRepository) -> None:
    names = repository._git("for-each-ref", "--format=delete %(refname)", INCOMING)
    repository._git("update-ref", "--stdin", stdin=f"{names}\n".encode() if names else b"")
