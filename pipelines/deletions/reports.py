"""Reports and rejects of imports that lie in the remote, where tasks share no disk: those that name one of the users go.

On one machine they lie in the home, and ids in them are overwritten (finishing.py).
"""

from __future__ import annotations

from pipelines.datasets import handover
from pipelines.deletions import files
from pipelines.deletions import job as jobs
from pipelines.deletions.job import Job
from pipelines.deletions.matching import Matcher
from pipelines.registry import store
from pipelines.registry.database import transaction


def drop(job: Job) -> None:
    """Let go of the files of every import that has ended and names one; an import that runs sees clean data or is swept."""
    if not job.settings.git_remote:
        return
    matcher, _ = job.matcher()
    with transaction(job.settings) as conn:
        imports = store.in_group(conn, job.group.id, "DatasetImportJob")
    ended = [one for one in imports if one.status not in store.UNFINISHED]
    there = set(job.repository.tags("imports"))
    doomed = [one for one in map(handover.tag, ended) if one in there and _names_one(job, one, matcher)]
    if doomed:
        job.repository.drop(doomed)
        with transaction(job.settings) as conn:
            jobs.add(conn, job, {"reports and rejects of imports": len(doomed)})


def _names_one(job: Job, tag: str, matcher: Matcher) -> bool:
    place = job.scratch("reports")
    job.repository.materialise(tag, handover.FOLDER, place)
    return bool(files.search(files.files_of([place]), matcher).found)
