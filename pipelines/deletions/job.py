"""A data deletion job in the registry: what it is about, what it has found so far, how it ends."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from pipelines.deletions.matching import Matcher
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.store import Resource
from pipelines.registry.tables import resources
from pipelines.registry.working import set_failed
from pipelines.repository import GroupRepository
from pipelines.repository.locks import locked
from pipelines.repository.shared import everywhere
from pipelines.settings import Settings
from pipelines.versions.lookup import NO_LONGER_REPRODUCIBLE

log = logging.getLogger(__name__)

REMOVED = "removed"
"""Member of a job's `internal`: how many were removed where, over all attempts."""


@dataclass(frozen=True)
class Job:
    """One job and its group."""

    settings: Settings
    resource: Resource
    group: Resource

    @property
    def id(self) -> str:
        return self.resource.id

    @property
    def location(self) -> str:
        return str(self.resource.doc["dataSource"]["dataLocation"])

    @property
    def folder(self) -> Path:
        return self.settings.deletions_dir / self.id

    @property
    def work(self) -> Path:
        """Private to the platform's account; gone at the end."""
        return self.folder / "work"

    @property
    def users_file(self) -> Path:
        """JSON list of the ids, written whole or not at all."""
        return self.work / "users.json"

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    @cached_property
    def repository(self) -> GroupRepository:
        return GroupRepository(self.settings, self.group.id)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One job of a group at a time: each would put back into an artefact or a report whom the other takes out."""
        lock, waiting_for = self.repository.layout.lock("deletion"), "another data deletion job of the dataset group"
        with (
            everywhere(self.settings, f"deletion in group {self.group.id}", waiting_for=waiting_for),
            locked(lock, waiting_for=waiting_for),
        ):
            yield

    def users(self) -> list[str]:
        """The ids, without repetition."""
        users: list[str] = json.loads(self.users_file.read_text("utf-8"))
        return users

    def matcher(self) -> tuple[Matcher, int]:
        """What finds them in bytes, and how many it leaves out: ids that are part of an ARN too.

        "123456789012" may be a user, and is the account in every ARN: overwritten there, nothing would be found again.
        """
        with transaction(self.settings) as conn:
            own = "\n".join(conn.execute(select(resources.c.arn)).scalars()).encode()
        users = self.users()
        matcher = Matcher(users)
        words = {own[start:end] for start, end in matcher.find(own)}
        if not words:
            return matcher, 0
        sought = [user for user in users if not any(user.encode() in word for word in words)]
        return Matcher(sought), len(users) - len(sought)

    def scratch(self, name: str) -> Path:
        """The path of an empty place in the work folder, which does not exist yet."""
        path = self.work / name
        shutil.rmtree(path, ignore_errors=True)
        return path


def find(settings: Settings, job_id: str) -> Job | None:
    """The job, IN_PROGRESS now; None when it has ended or is gone with its group."""
    with transaction(settings) as conn:
        resource = store.get(conn, id=job_id, lock=True)
        if resource is None or resource.status not in store.UNFINISHED or resource.group_id is None:
            log.info("data deletion job %s is finished or gone: nothing to do", job_id)
            # Of an attempt that was killed just before.
            discard(settings, job_id)
            return None
        if resource.status == store.PENDING:
            resource = store.update(conn, job_id, status=store.IN_PROGRESS)
        group = store.get(conn, id=resource.group_id)
    assert group is not None, "a group is not deleted before what belongs to it"
    log.info("request %s: data deletion job %s", resource.request_id, resource.arn)
    return Job(settings, resource, group)


def add(conn: Connection, job: Job, found: Mapping[str, int]) -> None:
    """Count what this transaction removes; a place that was searched counts with 0 too."""
    row = store.get(conn, id=job.id, lock=True)
    assert row is not None, "a job in progress is not deleted"
    removed: dict[str, int] = dict(row.internal.get(REMOVED, {}))
    for place, count in found.items():
        removed[place] = removed.get(place, 0) + count
    store.update(conn, job.id, internal={REMOVED: removed}, touch=False)


def mark(conn: Connection, job: Job) -> dict[str, Any]:
    """For the `internal` of what can't be made again with the same bytes, because of this job."""
    when = conn.execute(select(func.now())).scalar_one()
    return {NO_LONGER_REPRODUCIBLE: {"job": job.resource.arn, "when": when.isoformat()}}


def removed(conn: Connection, job: Job) -> dict[str, int]:
    """What has been counted so far, by place."""
    row = store.get(conn, id=job.id)
    return dict(row.internal.get(REMOVED, {})) if row is not None else {}


def fail(settings: Settings, job_id: str, reason: str) -> None:
    """FAILED with a reason, unless the job has ended; the list of users goes."""
    set_failed(settings, job_id, reason)
    discard(settings, job_id)


def discard(settings: Settings, job_id: str) -> None:
    """Remove the list of users and all else that the job worked with; its report stays."""
    shutil.rmtree(settings.deletions_dir / job_id / "work", ignore_errors=True)
