"""What was made of the users' data earlier: older snapshots, versions, and their bytes in Git, cache and remote."""

from __future__ import annotations

from pipelines.deletions import reports, snapshots, versions
from pipelines.deletions.contents import Contents
from pipelines.deletions.job import Job


def clean(job: Job) -> None:
    """Drop what nobody serves, write anew what is served, and remove what nothing names any more."""
    contents = Contents(job)
    # Versions first: they name the snapshots that they were made from.
    versions.clean(job, contents)
    snapshots.drop_older(job, contents.hold)
    reports.drop(job)
    job.repository.purge()
