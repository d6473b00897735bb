"""Users leave a dataset group: the steps of DAG `data_deletion`, each one function that can be repeated after a crash.

    read    the list of users, into a private file
    sweep   a round through the database and the current snapshots; again until nothing that began before is left
    clean   older snapshots and versions that hold the users: dropped, or written anew and served anew; then cache and remote
    finish  logs, reports and documents; a search through everything; the report; COMPLETED

Whatever was removed stays removed when a later step fails; a new job goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.deletions import cleaning, finishing, reading, sweeping
from pipelines.deletions import job as jobs
from pipelines.deletions.errors import DeletionIncomplete, DeletionRefused
from pipelines.deletions.job import Job, fail, find
from pipelines.settings import Settings

__all__ = ["DeletionIncomplete", "DeletionRefused", "clean", "fail", "finish", "read", "sweep"]


def read(settings: Settings, job_id: str) -> None:
    """Raises DeletionRefused after the job was set to FAILED, and anything else for a retry."""
    job = find(settings, job_id)
    if job is not None:
        try:
            reading.read(job)
        except DeletionRefused as error:
            fail(settings, job_id, str(error))
            raise


def sweep(settings: Settings, job_id: str) -> bool:
    """Whether that was the last round; as `read` otherwise."""
    job = find(settings, job_id)
    if job is None:
        return True
    try:
        with _list_at_hand(job):
            return sweeping.sweep(job)
    except DeletionRefused as error:
        fail(settings, job_id, str(error))
        raise


def clean(settings: Settings, job_id: str) -> None:
    """Raises DeletionIncomplete when a worker of the runtime cannot follow."""
    job = find(settings, job_id)
    if job is not None:
        with job.alone(), _list_at_hand(job):
            cleaning.clean(job)


def finish(settings: Settings, job_id: str) -> None:
    """Raises DeletionIncomplete when something is left."""
    job = find(settings, job_id)
    if job is not None:
        with job.alone(), _list_at_hand(job):
            finishing.finish(job)


@contextmanager
def _list_at_hand(job: Job) -> Iterator[None]:
    """The list of users on this machine: read again where tasks share no disk, rather than kept in a place of ours."""
    reading.read(job)
    yield
    if job.settings.git_remote:
        jobs.discard(job.settings, job.id)
