"""A batch inference job, from CREATE PENDING to ACTIVE or CREATE FAILED: the task of DAG `batch_inference`.

It answers from the version's artefact and from what was streamed up to the moment its work first began, both of which
stay as they are until it ends: the artefact as links in the job's folder, which no update or deletion of the version
reaches, the streamed rows by their numbers. So does its input. Killed at any moment, it goes on where it was when it is
started again on the same machine, and writes the same files as if it had not been; on another one it begins anew.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from pipelines.aws.errors import InvalidInput
from pipelines.batch.answering import Task
from pipelines.batch.errors import BatchRefused
from pipelines.batch.files import CHUNK_LINES, answer_files
from pipelines.batch.inputs import Input, bring
from pipelines.batch.mark import Mark
from pipelines.batch.processes import started
from pipelines.datasets.errors import ExportRefused, ImportRefused
from pipelines.datasets.handover import link
from pipelines.datasets.streamed import newest_event, newest_record
from pipelines.datasets.target import find_target
from pipelines.disk import require_disk
from pipelines.filters.checking import kept
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.reasons import shortened
from pipelines.registry.store import Resource
from pipelines.serving.artefact import Artefact
from pipelines.serving.filtering import Filtering
from pipelines.serving.local import fetch
from pipelines.settings import Settings
from pipelines.versions.lookup import dropped

log = logging.getLogger(__name__)

# Unlike AWS, serving: a batch inference job answers from the model and the streamed rows as they are when its work begins.
# So one that is killed and goes on writes the files of one that was not.
BEGAN = "began"
"""Member of a job's `internal`: {events, users}, numbers of the newest streamed rows when its work began."""
REFUSED = (BatchRefused, ImportRefused, ExportRefused)
"""What no retry mends: the job is CREATE FAILED then."""
ITEM_BYTES = 32
"""For the disk check: of one recommended item with its score, in the output."""


@dataclass(frozen=True)
class Job:
    """What a job needs to know, read from the registry."""

    resource: Resource
    version: Resource
    task: Task
    work: Path
    """Gone at its end."""

    @property
    def source(self) -> str:
        return str(self.resource.doc["jobInput"]["s3DataSource"]["path"])

    @property
    def destination(self) -> dict[str, Any]:
        found: dict[str, Any] = self.resource.doc["jobOutput"]["s3DataDestination"]
        return found


def infer(settings: Settings, job_id: str) -> None:
    """Answer every line, put the files there, then set the job ACTIVE; nothing to do when it has ended.

    Raises one of REFUSED after the job was set to CREATE FAILED, and anything else for a retry.
    """
    try:
        job = _start(settings, job_id)
        if job is None:
            log.info("batch inference job %s is finished or gone: nothing to do", job_id)
            return
        log.info("request %s: batch inference job %s", job.resource.request_id, job.resource.arn)
        mark = _infer(settings, job)
    except REFUSED as error:
        fail(settings, job_id, str(error))
        raise
    with _unfinished(settings, job_id) as (conn, resource):
        if resource is not None:
            counted = {"lines": mark.lines, "failed": mark.failed}
            store.update(conn, job_id, status=store.ACTIVE, internal=counted)
    shutil.rmtree(job.work, ignore_errors=True)


def fail(settings: Settings, job_id: str, reason: str) -> None:
    """CREATE FAILED with a reason, unless the job is finished."""
    with _unfinished(settings, job_id) as (conn, job):
        if job is not None:
            store.update(conn, job_id, status=store.CREATE_FAILED, failure_reason=shortened(reason))
            log.error("batch inference job %s failed: %s", job.name, reason)
            shutil.rmtree(settings.batch_dir / job_id, ignore_errors=True)


@contextmanager
def _unfinished(settings: Settings, job_id: str) -> Iterator[tuple[Connection, Resource | None]]:
    """A transaction that holds the job; None when it is finished, or gone."""
    with transaction(settings) as conn:
        job = store.get(conn, id=job_id, lock=True)
        yield conn, job if job is not None and job.status in store.UNFINISHED else None


def _start(settings: Settings, job_id: str) -> Job | None:
    """The job, CREATE IN_PROGRESS; None when it is finished, or gone. Raises BatchRefused."""
    with _unfinished(settings, job_id) as (conn, resource):
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
        began = resource.internal.get(BEGAN) or {
            "events": newest_event(conn, str(resource.group_id)),
            "users": newest_record(conn, users.id) if users is not None else 0,
        }
        store.update(conn, job_id, status=store.CREATE_IN_PROGRESS, internal={BEGAN: began})
    task = _task(resource, version, users, began, filter)
    return Job(resource, version, task, settings.batch_dir / job_id)


def _task(
    resource: Resource, version: Resource, users: Resource | None, began: dict[str, int], filter: Resource | None
) -> Task:
    trained = version.internal
    return Task(
        seed=_seed(resource),
        now=resource.created_at.timestamp(),
        num_results=resource.doc["numResults"],
        exploration=resource.doc.get("batchInferenceJobConfig", {}).get("itemExplorationConfig", {}),
        group_id=str(resource.group_id),
        events=(int(trained.get("event_cutoff", 0)), began["events"]),
        users_id=users.id if users is not None else None,
        users=(int(trained.get("record_cutoffs", {}).get("USERS", 0)), began["users"]),
        # It is not deleted while a job uses it.
        filter=(filter.doc["filterExpression"], filter.internal["columns"]) if filter is not None else None,
    )


def _seed(resource: Resource) -> str:
    """With file and line what chance the exploration takes: another job explores other items."""
    return resource.id


def _infer(settings: Settings, job: Job) -> Mark:
    target = find_target(settings, job.destination["path"], job.destination.get("kmsKeyArn"))
    inputs = bring(settings, job.source, job.work / "input")
    artefact = _artefact(settings, job)
    _check_filter(job.task, artefact)
    lines, output = sum(one.lines for one in inputs), job.work / "output"
    require_disk(job.work, _bytes_of_answers(job, inputs))
    with started(settings, job.task, artefact, -(-lines // CHUNK_LINES)) as processes:
        mark = answer_files(inputs, output, processes)
    with target:
        for one in inputs:
            # A link: a target takes the file away, and an attempt that is killed after that needs it again.
            given = job.work / "given" / one.output
            given.parent.mkdir(exist_ok=True)
            given.unlink(missing_ok=True)
            os.link(output / one.output, given)
            target.put(given)
    log.info(
        "%s lines answered, %s of them with an error, in %d file(s) at %s",
        f"{mark.lines:,}", f"{mark.failed:,}", len(inputs), job.destination["path"],
    )  # fmt: skip
    return mark


def _check_filter(task: Task, artefact: Path) -> None:
    if task.filter is not None:
        try:
            Filtering(Artefact.open(artefact), kept(*task.filter))
        except InvalidInput as error:
            raise BatchRefused(str(error)) from None


def _bytes_of_answers(job: Job, inputs: Sequence[Input]) -> int:
    asked = sum(Path(one.path).stat().st_size for one in inputs)
    return asked + sum(one.lines for one in inputs) * job.task.num_results * ITEM_BYTES


def _artefact(settings: Settings, job: Job) -> Path:
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


def _link(source: str, target: str) -> None:
    link(os.path.realpath(source), target)
