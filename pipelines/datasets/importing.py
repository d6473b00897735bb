"""A dataset import job, from CREATE PENDING to ACTIVE or CREATE FAILED: the tasks of DAG `dataset_import`.

    load    fetch, read, write the next snapshot, profile it
    check   Great Expectations judges the profile; the report
    commit  the snapshot into the group's repository, then dataset and job in one transaction

Each may run again after a crash, or on another machine (handover.py), and gives the same result; none does anything to
a job that is finished. Until `commit` nothing that was there before is touched.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pipelines.datasets import attribution_imported, building, deployed, deployed_measuring, handover, source
from pipelines.datasets.attribution_imported import Counted
from pipelines.datasets.errors import ImportRefused
from pipelines.datasets.known import known_ids
from pipelines.datasets.profile import Profile, Summary
from pipelines.datasets.schema import DatasetType, Schema, read_schema
from pipelines.datasets.snapshot import IMPORTED, Snapshot
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.reasons import shortened
from pipelines.repository.group import GroupRepository
from pipelines.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

    from data_checks.judge import Verdict

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What an import needs to know, read from the registry."""

    resource: store.Resource
    dataset: store.Resource
    schema: Schema
    folder: Path
    overrides: Mapping[str, Mapping[str, Any]]
    """How the dataset group has set rules, see data_checks.rules."""

    @property
    def work(self) -> Path:
        """Scratch of this import; gone at its end."""
        return self.folder / "work"

    @property
    def snapshot(self) -> Path:
        return self.work / "snapshot"

    @property
    def profile(self) -> Path:
        return self.work / "profile.json"

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    @property
    def rejects(self) -> Path:
        return self.folder / "rejects.parquet"

    @property
    def about(self) -> Mapping[str, str]:
        """What a person knows the import by."""
        mode = self.resource.doc.get("importMode", "FULL")
        asked = f"{self.resource.created_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        return {
            "data": str(self.resource.doc["dataSource"]["dataLocation"]),
            "job": f"{self.resource.arn} ({mode}, asked for {asked})",
        }

    @property
    def tag(self) -> str:
        """The snapshot's tag in the group's repository."""
        return f"data/{self.dataset.id}/{self.resource.id}"

    @property
    def group_id(self) -> str:
        assert self.dataset.group_id is not None
        return self.dataset.group_id

    @property
    def incremental(self) -> bool:
        return self.resource.doc.get("importMode") == "INCREMENTAL"


def load(settings: Settings, job_id: str) -> None:
    """Fetch and read the data, write the next snapshot into the job's folder, profile it.

    Raises ImportRefused after the job was set to CREATE FAILED, and anything else for a retry.
    """
    with _running(settings, job_id, store.CREATE_IN_PROGRESS) as job:
        if job is None:
            return
        shutil.rmtree(job.work, ignore_errors=True)
        job.work.mkdir(parents=True)
        location = str(job.resource.doc["dataSource"]["dataLocation"])
        files = source.fetch(settings, location, job.work / "source")
        log.info("%s import of %d file(s) from %s", job.schema.dataset_type, len(files), location)
        profile = building.build(
            files,
            job.schema,
            building.Place(job.work, job.snapshot, job.rejects),
            name=job.resource.id,
            title=job.resource.name,
            previous=_previous(settings, job),
            incremental=job.incremental,
            as_of=job.resource.created_at.timestamp(),
            after=job.resource.internal.get("after", 0),
            known=_known(settings, job),
            before=_before(job),
        )
        profile.save(job.profile)
        shutil.rmtree(job.work / "source")


def check(settings: Settings, job_id: str) -> None:
    """Judge what `load` wrote; raises ImportRefused after the job was set to CREATE FAILED."""
    with _running(settings, job_id) as job:
        if job is None:
            return
        profile = Profile.load(job.profile)
        moved = deployed_measuring.of_import(
            settings, job.dataset, job.overrides, job.snapshot, job.resource.created_at
        )
        verdict = building.check(profile, job.schema, job.report, job.rejects, job.overrides, job.about, moved)
        for outcome in verdict.outcomes:
            log.info("%s %s", "ok     " if outcome.passed else outcome.rule.severity, outcome)
        with transaction(settings) as conn:
            known = {"judged": _judged(profile, verdict), deployed.DRIFT: deployed.documents(moved, job.resource)}
            store.update(conn, job_id, internal=known, touch=False)
        if not verdict.passed:
            raise ImportRefused(building.reason(profile, verdict))


def commit(settings: Settings, job_id: str) -> None:
    """Make the snapshot the dataset's; from here on trainings use it. Raises ImportRefused as `check` does."""
    with _running(settings, job_id) as job:
        if job is None:
            return
        profile = Profile.load(job.profile)
        snapshot = Snapshot.open(job.snapshot)
        repository = GroupRepository(settings, job.group_id)
        repository.ensure()
        if not repository.has(job.tag):
            outgoing = job.work / "outgoing"
            shutil.rmtree(outgoing, ignore_errors=True)
            # The repository takes what it is given; a retry after a crash needs it once more.
            shutil.copytree(job.snapshot, outgoing, copy_function=handover.link)
            repository.commit_snapshot(
                job.dataset.id, outgoing, job.tag, f"Import {job.resource.name}: {snapshot.rows} rows"
            )
        try:
            counted = attribution_imported.count(settings, job.resource, snapshot, job.work)
        except ImportRefused:
            repository.drop([job.tag])
            raise
        _activate(settings, job, profile, snapshot.facts(job.tag), counted)
        shutil.rmtree(job.work, ignore_errors=True)


def fail(settings: Settings, job_id: str, reason: str) -> None:
    """CREATE FAILED with a reason, unless the job is finished; its work files go, report and rejects stay."""
    job = _find(settings, job_id)
    if job is not None:
        with handover.at_hand(settings, job.resource, job.folder):
            _fail(settings, job, reason)


def _fail(settings: Settings, job: Job, reason: str) -> None:
    from data_checks.report import render_refusal

    if not job.report.is_file():
        job.folder.mkdir(parents=True, exist_ok=True)
        job.report.write_text(
            render_refusal(job.schema.dataset_type, job.resource.name, reason, job.about), encoding="utf-8"
        )
    with transaction(settings) as conn:
        row = store.get(conn, id=job.resource.id, lock=True)
        if row is None or row.status not in store.UNFINISHED:
            return
        files = {"report": str(job.report)}
        if job.rejects.is_file():
            files["rejects"] = str(job.rejects)
        store.update(conn, row.id, status=store.CREATE_FAILED, failure_reason=shortened(reason), internal=files)
    shutil.rmtree(job.work, ignore_errors=True)
    log.error("import %s failed: %s", job.resource.name, reason)


# ----------------------------------------------------------------------------------------------------


@contextmanager
def _running(settings: Settings, job_id: str, status: str | None = None) -> Iterator[Job | None]:
    """The job if it isn't finished (None else); what the data is to blame for ends it at once."""
    job = _find(settings, job_id, status)
    if job is None:
        log.info("import job %s is finished or gone: nothing to do", job_id)
        yield None
        return
    log.info("request %s: import job %s", job.resource.request_id, job.resource.arn)
    with handover.at_hand(settings, job.resource, job.folder):
        try:
            yield job
        except ImportRefused as error:
            _fail(settings, job, str(error))
            raise


def _find(settings: Settings, job_id: str, status: str | None = None) -> Job | None:
    """The job with its dataset and schema, set to `status`; None when it is finished, or gone with its dataset."""
    with transaction(settings) as conn:
        # Held, so that a job which somebody else ends just now is not begun again.
        resource = store.get(conn, id=job_id, lock=True)
        if resource is None or resource.status not in store.UNFINISHED or resource.parent_id is None:
            return None
        dataset = store.get(conn, id=resource.parent_id)
        if dataset is None or dataset.is_deleting or dataset.schema_id is None:
            return None
        schema = store.get(conn, id=dataset.schema_id)
        group = store.get(conn, id=dataset.group_id)
        if status is not None:
            store.update(conn, job_id, status=status)
    assert schema is not None and group is not None, "a dataset's schema and group can't be deleted before it"
    kind = cast(DatasetType, dataset.doc["datasetType"])
    overrides = group.internal.get("checks", {})
    return Job(resource, dataset, read_schema(schema.doc["schema"], kind), settings.imports_dir / job_id, overrides)


def _previous(settings: Settings, job: Job) -> Snapshot | None:
    """The dataset's snapshot so far, checked out beside the new one."""
    current = job.dataset.internal.get("snapshot")
    if current is None:
        if job.incremental:
            raise ImportRefused(
                "An INCREMENTAL import needs an earlier FULL import into this dataset; import FULL first"
            )
        return None
    directory = job.work / "previous"
    GroupRepository(settings, job.group_id).materialise(current["tag"], "snapshot", directory)
    previous = Snapshot.open(directory)
    previous.verify()
    return previous


def _judged(profile: Profile, verdict: Verdict) -> dict[str, Any]:
    """What `openpersonalize report` says; the examples, which name users, are in the report alone."""
    broken = [
        {"severity": found.rule.severity, "saw": str(found), "meaning": found.rule.meaning}
        for found in [*verdict.failures, *verdict.warnings]
    ]
    return {"records": profile.row["records"], "rejected": profile.row["rejected"], "broken": broken}


def _known(settings: Settings, job: Job) -> Mapping[str, pa.Array]:
    """Ids of the group's items, users and actions, for events to be held against."""
    return known_ids(settings, job.group_id, job.schema, job.work / "known") if job.schema.is_event_log else {}


def _before(job: Job) -> Summary | None:
    """The dataset's last import."""
    found = job.dataset.internal.get("profile")
    return Summary.read(found) if found is not None else None


def _activate(settings: Settings, job: Job, profile: Profile, snapshot: dict[str, Any], counted: Counted) -> None:
    """Dataset, job and its part in metric attributions in one transaction, unless the dataset is on its way out."""
    with transaction(settings) as conn:
        dataset = store.get(conn, id=job.dataset.id, lock=True)
        row = store.get(conn, id=job.resource.id, lock=True)
        if dataset is None or dataset.is_deleting or row is None or row.status not in store.UNFINISHED:
            log.info("dataset or job went away meanwhile: the snapshot is not taken over")
            return
        deployed.keep(conn, row.internal.get(deployed.DRIFT, {}))
        attribution_imported.keep(conn, row, counted)
        new = {"snapshot": snapshot, IMPORTED: row.id, "profile": asdict(profile.summary)}
        store.update(conn, dataset.id, internal=new)
        kept = profile.row["records"] - profile.row["rejected"]  # type: ignore[operator]
        files = {"report": str(job.report), "rejects": str(job.rejects)}
        told = {**files, "kept": kept, "rejected": profile.row["rejected"]}
        store.update(conn, row.id, status=store.ACTIVE, internal=told)
