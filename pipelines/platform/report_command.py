"""`openpersonalize report`: what came of an import, in a few lines, and where the whole report is."""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.datasets import rejects
from pipelines.datasets.deployed import DRIFT
from pipelines.datasets.handover import opened
from pipelines.platform.finding import find
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.settings import Settings

SHOWN_REJECTS = 10
REJECTS = "rejects.parquet"


def lines(settings: Settings, given: str | None) -> list[str]:
    """Of the import with that ARN, name or id (None: the newest): verdict, broken rules, first rejects, paths.

    Raises finding.NotFound.
    """
    job = _job(settings, given)
    shown = [f"import {job.name}: {job.status}", *_verdict(job)]
    with opened(settings, job.id) as folder:
        report, found = folder / "report.html", folder / REJECTS
        samples = rejects.samples(found, SHOWN_REJECTS) if found.is_file() else []
        has_report = report.is_file()
    if samples:
        shown += ["", f"The first {len(samples)} rejects:", *(f"  {sample}" for sample in samples)]
    if has_report:
        page = f"{settings.airflow}/personalize/imports/{job.id}/report"
        # Where tasks share no disk, the folder is gone by now.
        shown += ["", *[f"report   {report}"] * report.is_file(), f"         {page} (with Airflow's login)"]
    if samples:
        shown.append(f"rejects  {found}; `openpersonalize report {job.name} --rejects` prints them as CSV")
    return shown


def rejects_csv(settings: Settings, given: str | None) -> Iterator[str]:
    """The lines of the rejects as CSV, header first, none when nothing was read. Raises finding.NotFound."""
    with opened(settings, _job(settings, given).id) as folder:
        if (folder / REJECTS).is_file():
            yield from rejects.as_csv(folder / REJECTS)


def _job(settings: Settings, given: str | None) -> store.Resource:
    with transaction(settings) as conn:
        return find(conn, "DatasetImportJob", given, "import job")


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
    for drift in job.internal.get(DRIFT, {}).values():
        shown += [f"drift    {drift['level']:<9}{one['saw']}" for one in drift["broken"]]
        shown += [f"         {drift['hint']}"] * bool(drift["hint"])
    if job.failure_reason and not any(broken["severity"] == "critical" for broken in judged["broken"]):
        shown += ["", job.failure_reason]
    return shown
