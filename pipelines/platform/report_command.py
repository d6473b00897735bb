"""`openpersonalize report`: what came of an import, in a few lines, and where the whole report is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipelines.datasets import rejects
from pipelines.platform.finding import find
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.settings import Settings

SHOWN_REJECTS = 10


def lines(settings: Settings, given: str | None) -> list[str]:
    """Of the import with that ARN, name or id (None: the newest): verdict, broken rules, first rejects, paths.

    Raises finding.NotFound.
    """
    job = _job(settings, given)
    shown = [f"import {job.name}: {job.status}", *_verdict(job)]
    found = _rejects(settings, job)
    samples = rejects.samples(found, SHOWN_REJECTS) if found.is_file() else []
    if samples:
        shown += ["", f"The first {len(samples)} rejects:", *(f"  {sample}" for sample in samples)]
    report = _folder(settings, job) / "report.html"
    if report.is_file():
        page = f"{settings.airflow}/personalize/imports/{job.id}/report"
        shown += ["", f"report   {report}", f"         {page} (with Airflow's login)"]
    if samples:
        shown.append(f"rejects  {found}; `openpersonalize report {job.name} --rejects` prints them as CSV")
    return shown


def rejects_csv(settings: Settings, given: str | None) -> Iterator[str]:
    """The lines of the rejects as CSV, header first, none when nothing was read. Raises finding.NotFound."""
    found = _rejects(settings, _job(settings, given))
    return rejects.as_csv(found) if found.is_file() else iter(())


def _job(settings: Settings, given: str | None) -> store.Resource:
    with transaction(settings) as conn:
        return find(conn, "DatasetImportJob", given, "import job")


def _folder(settings: Settings, job: store.Resource) -> Path:
    return settings.imports_dir / job.id


def _rejects(settings: Settings, job: store.Resource) -> Path:
    return _folder(settings, job) / "rejects.parquet"


def _verdict(job: store.Resource) -> list[str]:
    judged = job.internal.get("judged")
    if judged is None:
        if job.status in store.UNFINISHED:
            return ["It is not judged yet: the report comes with task check of DAG dataset_import."]
        return ["", job.failure_reason or "It ended before it was judged."]
    good, bad = judged["records"] - judged["rejected"], judged["rejected"]
    shown = [f"{judged['records']:,} rows in the files: {good:,} good, {bad:,} rejected", ""]
    for broken in judged["broken"]:
        shown += [f"{broken['severity']:<9}{broken['saw']}", f"         {broken['meaning']}"]
    if not judged["broken"]:
        shown.append("All rules hold.")
    if job.failure_reason and not any(broken["severity"] == "critical" for broken in judged["broken"]):
        shown += ["", job.failure_reason]
    return shown
