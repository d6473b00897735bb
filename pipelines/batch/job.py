"""A batch job's life, from CREATE PENDING to ACTIVE or CREATE FAILED; what it answers is in inference.py and segments.py.

It answers from the version's artefact and from what was streamed up to the moment its work first began, both of which
stay as they are until it ends: the artefact as links in the job's folder, which no update or deletion of the version
reaches, the streamed rows by their numbers. So does its input. Killed at any moment, it goes on where it was when it is
started again on the same machine, and writes the same files as if it had not been; on another one it begins anew.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.batch.errors import BatchRefused
from pipelines.batch.streamed import Streams
from pipelines.datasets.errors import ExportRefused, ImportRefused
from pipelines.datasets.handover import link
from pipelines.datasets.streamed import newest_event, newest_record
from pipelines.datasets.target import Target, find_target
from pipelines.filters.checking import kept
from pipelines.filters.tree import Filter
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.registry.working import set_failed, working
from pipelines.serving.local import fetch
from pipelines.settings import Settings
from pipelines.versions.lookup import dropped

log = logging.getLogger(__name__)

# Unlike AWS, serving: a batch job answers from the model and the streamed rows as they are when its work begins. So one
# that is killed and goes on writes the files of one that was not.
BEGAN = "began"
"""Member of a job's `internal`: {events, users}, numbers of the newest streamed rows when its work began."""
REFUSED = (BatchRefused, ImportRefused, ExportRefused)
"""What no retry mends: the job is CREATE FAILED then."""


@dataclass(frozen=True)
class Job:
    """What a job needs to know, read from the registry."""

    resource: Resource
    version: Resource
    filter: Resource | None
    """It is not deleted while a job uses it."""
    users: Resource | None
    """The Users dataset."""
    began: Mapping[str, int]
    work: Path
    """Gone at its end."""

    @property
    def source(self) -> str:
        return str(self.resource.doc["jobInput"]["s3DataSource"]["path"])

    @property
    def num_results(self) -> int:
        return int(self.resource.doc["numResults"])

    @property
    def now(self) -> float:
        """Epoch seconds at which the job was created: what its answers are as of."""
        return self.resource.created_at.timestamp()

    @property
    def columns(self) -> Mapping[str, Mapping[str, str]]:
        """Those that its filter reads (pipelines/filters)."""
        found: Mapping[str, Mapping[str, str]] = self.filter.internal["columns"] if self.filter is not None else {}
        return found

    def checked_filter(self) -> Filter | None:
        """What its filter says."""
        return None if self.filter is None else kept(self.filter.doc["filterExpression"], self.columns)

    def streams(self) -> Streams:
        """Which streamed rows count."""
        trained = self.version.internal
        return Streams(
            group_id=str(self.resource.group_id),
            events=(int(trained.get("event_cutoff", 0)), self.began["events"]),
            users_id=self.users.id if self.users is not None else None,
            users=(int(trained.get("record_cutoffs", {}).get("USERS", 0)), self.began["users"]),
        )

    def target(self, settings: Settings) -> Target:
        """Where its answers go; raises ExportRefused."""
        found = self.resource.doc["jobOutput"]["s3DataDestination"]
        return find_target(settings, found["path"], found.get("kmsKeyArn"))


@dataclass(frozen=True)
class Counted:
    """Lines that were answered, and how many of them with an error."""

    lines: int
    failed: int


def run(settings: Settings, job_id: str, answer: Callable[[Settings, Job], Counted]) -> None:
    """Have `answer` put the files there, then set the job ACTIVE; nothing to do when it has ended.

    Raises one of REFUSED after the job was set to CREATE FAILED, and anything else for a retry.
    """
    try:
        job = _start(settings, job_id)
        if job is None:
            log.info("batch job %s is finished or gone: nothing to do", job_id)
            return
        log.info("request %s: %s", job.resource.request_id, job.resource.arn)
        counted = answer(settings, job)
    except REFUSED as error:
        fail(settings, job_id, str(error))
        raise
    log.info("%s lines answered, %s of them with an error", f"{counted.lines:,}", f"{counted.failed:,}")
    with working(settings, job_id) as (conn, resource):
        if resource is not None:
            found = {"lines": counted.lines, "failed": counted.failed}
            store.update(conn, job_id, status=store.ACTIVE, internal=found)
    shutil.rmtree(job.work, ignore_errors=True)


def fail(settings: Settings, job_id: str, reason: str) -> None:
    """CREATE FAILED with a reason, unless the job is finished."""
    if set_failed(settings, job_id, reason):
        shutil.rmtree(settings.batch_dir / job_id, ignore_errors=True)


def _start(settings: Settings, job_id: str) -> Job | None:
    """The job, CREATE IN_PROGRESS; None when it is finished, or gone. Raises BatchRefused."""
    with working(settings, job_id) as (conn, resource):
        version = store.get(conn, id=resource.parent_id) if resource is not None else None
        if resource is None or version is None:
            return None
        gone = dropped(version)
        if gone is not None:
            raise BatchRefused(gone)
        filter = store.get(conn, arn=resource.doc["filterArn"]) if "filterArn" in resource.doc else None
        users = next(
            (
                one
                for one in store.in_group(conn, str(resource.group_id), "Dataset")
                if one.doc["datasetType"] == "USERS" and not one.is_deleting
            ),
            None,
        )
        began: dict[str, int] = resource.internal.get(BEGAN) or {
            "events": newest_event(conn, str(resource.group_id)),
            "users": newest_record(conn, users.id) if users is not None else 0,
        }
        store.update(conn, job_id, status=store.CREATE_IN_PROGRESS, internal={BEGAN: began})
    return Job(resource, version, filter, users, began, settings.batch_dir / job_id)


def artefact_of(settings: Settings, job: Job) -> Path:
    """The version's artefact as it was when the job's work began."""
    kept = job.work / "artefact"
    if not kept.exists():
        edition = int(job.version.internal.get("edition", 0))
        found = fetch(settings, str(job.version.parent_id), job.version.id, edition)
        new = job.work / "artefact.new"
        shutil.rmtree(new, ignore_errors=True)
        shutil.copytree(found, new, copy_function=_link)
        new.rename(kept)
    return kept


def deliver(job: Job, target: Target, files: Iterable[Path]) -> None:
    """Put the files there; they stay here, too.

    A target takes a file away, and an attempt that is killed after that needs it again: so it is given a link.
    """
    folder = job.work / "given"
    folder.mkdir(exist_ok=True)
    with target:
        for file in files:
            given = folder / file.name
            given.unlink(missing_ok=True)
            os.link(file, given)
            target.put(given)


def _link(source: str, target: str) -> None:
    link(os.path.realpath(source), target)
