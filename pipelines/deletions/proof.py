"""After everything: search all places once more, and count what is still there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.deletions import files, tables
from pipelines.deletions.contents import Contents
from pipelines.deletions.job import Job
from pipelines.deletions.matching import Matcher
from pipelines.deletions.versions import holds
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.serving.local import model_directory


@dataclass(frozen=True)
class Place:
    """One place that was searched."""

    name: str
    searched: str
    """How much, in words."""
    left: int
    """How many of the ids are still there; 0 is clean."""
    advice: str = ""
    """What a person can do if it is not."""


def search(job: Job, matcher: Matcher, written: Iterable[Path]) -> list[Place]:
    """Every place besides the users' rows where one of them could be, changing nothing.

    `written` are the folders about the work.
    """
    contents = Contents(job)
    return [
        _snapshots(job, contents),
        _versions(job, contents),
        _git(job, matcher),
        *_stores(job, matcher),
        _tables(job, matcher),
        _files("logs, reports, rejects", files.files_of(written), matcher, "Delete these files"),
    ]


def _snapshots(job: Job, contents: Contents) -> Place:
    tags = job.repository.tags("data")
    left = [tag for tag in tags if contents.hold(tag, "snapshot")]
    advice = "An import that began after the deletion brought the users again: leave them out of its file"
    return Place("snapshots", f"{len(tags)} tags, ids of every one", len(left), advice)


def _versions(job: Job, contents: Contents) -> Place:
    with transaction(job.settings) as conn:
        versions = store.in_group(conn, job.group.id, "SolutionVersion")
    left = [version for version in versions if holds(job, version, contents)]
    advice = "They were trained from data of before the deletion"
    return Place("solution versions", f"{len(versions)} versions, inputs and artefact of every one", len(left), advice)


def _git(job: Job, matcher: Matcher) -> Place:
    objects = job.repository.objects()
    return Place("Git objects", f"{len(objects):,} bytes, unpacked", len(matcher.find(objects)), "Ask for support")


def _stores(job: Job, matcher: Matcher) -> Iterator[Place]:
    layout = job.repository.layout
    yield _files("DVC cache", _once(layout.cache), matcher, "A job that runs has put it there; go on")
    if "://" in layout.remote_url:
        yield Place("DVC remote", f"{layout.remote_url}: holds what tags name, whose ids were searched", 0)
    else:
        # What is in the cache too has the same name, which is the digest of its content.
        known = {_digest(path) for path in _once(layout.cache)}
        others = [path for path in _once(Path(layout.remote_url)) if _digest(path) not in known]
        yield _files("DVC remote, beyond the cache", others, matcher, "A job that runs has put it there; go on")
    with transaction(job.settings) as conn:
        versions = store.in_group(conn, job.group.id, "SolutionVersion")
    folders = {model_directory(job.settings, str(v.parent_id), v.id).parent for v in versions}
    yield _files("Bento store", files.files_of(sorted(folders)), matcher, "Delete these folders; they are rebuilt")


def _once(folder: Path) -> Iterator[Path]:
    return files.files_of([folder / "files"])


def _digest(path: Path) -> str:
    return path.parent.name + path.name


def _tables(job: Job, matcher: Matcher) -> Place:
    found = tables.search(job.settings, job.group.id, matcher)
    left = {name: count for name, count in found.items() if count}
    advice = f"Delete these rows: {', '.join(left)}"
    return Place("texts and documents in the database", f"{len(found)} tables", sum(left.values()), advice)


def _files(name: str, paths: Iterable[Path], matcher: Matcher, advice: str) -> Place:
    searched = files.search(paths, matcher)
    shown = ", ".join(map(str, searched.where[:3]))
    what = f"{searched.files:,} files, {searched.size:,} bytes"
    return Place(name, what, searched.found, f"{advice}: {shown}")
