"""The last step: what was written about the users' data is overwritten, everything is searched, the report is written."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from pipelines.deletions import files, proof, report, rows, tables
from pipelines.deletions import job as jobs
from pipelines.deletions.errors import DeletionIncomplete
from pipelines.deletions.job import Job
from pipelines.registry import store
from pipelines.registry.database import transaction

log = logging.getLogger(__name__)

ELSEWHERE = (
    "Tasks run on several machines: logs were searched on the one that ran the last task only. Airflow's own task logs, and "
    "the logs of the runtime's machine, are yours to look through."
)


def finish(job: Job) -> None:
    """COMPLETED, with a report that says so; raises DeletionIncomplete when something is left anywhere."""
    users = job.users()
    matcher, own = job.matcher()
    _discard_leftovers(job)
    written = _written(job)
    found = files.black_out(written, matcher)
    cells = tables.black_out(job.settings, job.group.id, matcher)
    with transaction(job.settings) as conn:
        # What has come since the last round.
        counted = rows.delete(conn, job.group.id, users)
        counted |= {"ids in logs, reports and rejects": found.found, "texts in the database": sum(cells.values())}
        jobs.add(conn, job, counted)
        # In the same transaction: what somebody streams from now on is new.
        left = sum(rows.count(conn, job.group.id, users).values())
    rows.sweep_out(job.settings, [name for name, count in cells.items() if count])
    streamed = proof.Place("rows in the database", f"tables {', '.join(rows.TABLES)}", left)
    places = [streamed, *proof.search(job, matcher, written)]
    for place in places:
        log.info("%s: %s searched, %d left", place.name, place.searched, place.left)
    notes = [
        f"{own} of the users have ids that are part of an ARN: texts and logs were not searched for those."
    ] * bool(own) + [ELSEWHERE] * bool(job.settings.git_remote)
    with transaction(job.settings) as conn:
        removed = jobs.removed(conn, job)
    about = {"job": job.resource.arn, "dataset group": job.group.arn, "list read from": job.location}
    job.report.write_text(report.render(job.resource.name, about, users, removed, places, notes), encoding="utf-8")
    _refuse_leftovers(places)
    _complete(job, removed, places)
    jobs.discard(job.settings, job.id)


def _written(job: Job) -> list[Path]:
    """Folders of what was written about work: of the group's imports, and the logs of everything."""
    settings = job.settings
    with transaction(settings) as conn:
        imports = [settings.imports_dir / one.id for one in store.in_group(conn, job.group.id, "DatasetImportJob")]
    return [*imports, settings.logs_dir, settings.run_dir]


def _discard_leftovers(job: Job) -> None:
    """Remove what jobs of the group worked with that were killed before they could; none of before is running."""
    settings = job.settings
    with transaction(settings) as conn:
        ended = [one for one in store.in_group(conn, job.group.id) if one.status not in store.UNFINISHED]
    folders = {
        "DatasetImportJob": lambda id: settings.imports_dir / id / "work",
        "DatasetExportJob": lambda id: settings.exports_dir / id,
        "BatchInferenceJob": lambda id: settings.batch_dir / id,
        "BatchSegmentJob": lambda id: settings.batch_dir / id,
        "DataDeletionJob": lambda id: settings.deletions_dir / id / "work",
        # Of a compaction; it does not begin while users are being deleted.
        "Dataset": lambda id: settings.imports_dir / id,
    }
    for one in ended:
        if one.kind in folders:
            shutil.rmtree(folders[one.kind](one.id), ignore_errors=True)


def _refuse_leftovers(places: list[proof.Place]) -> None:
    left = [f"{place.name} ({place.left}): {place.advice}" for place in places if place.left]
    if left:
        raise DeletionIncomplete(
            f"Users are still found in {'; '.join(left)}. Then create a new data deletion job with the same users; what "
            f"was deleted stays deleted."
        )


def _complete(job: Job, removed: dict[str, int], places: list[proof.Place]) -> None:
    deleted = sum(count for what, count in removed.items() if what in rows.RECORDS or what.startswith("rows of "))
    searched = {place.name: place.searched for place in places}
    with transaction(job.settings) as conn:
        store.update(
            conn,
            job.id,
            status=store.COMPLETED,
            doc={"numDeleted": deleted},
            internal={"report": str(job.report), "searched": searched},
        )
    log.info("%s: COMPLETED, %d records deleted; %s", job.resource.arn, deleted, job.report)
