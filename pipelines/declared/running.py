"""What the run of a declared schedule does: begin an import, a training or a batch job, make the campaigns that wait.

The work itself is the run of the DAG that its wish starts, as for a client's request.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from pipelines.aws import arns
from pipelines.aws.errors import ResourceInUse, ResourceNotFound
from pipelines.control import batch_inference_jobs, batch_segment_jobs, campaigns, import_jobs, lookup
from pipelines.control.context import Context
from pipelines.control.solution_versions import create_automatic, resolve
from pipelines.control.views import member
from pipelines.datasets.attribution import PUBLISH, can_publish
from pipelines.declared import data
from pipelines.declared.schedules import DECLARED, FULL, IMPORT, INFERENCE, SEGMENTS, UPDATE, Record, kind_of
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.store import Resource
from pipelines.schedules.new_data import new_data
from pipelines.settings import Settings
from pipelines.versions.new_items import new_items

log = logging.getLogger(__name__)

_MADE = {
    IMPORT: "DatasetImportJob",
    FULL: "SolutionVersion",
    UPDATE: "SolutionVersion",
    INFERENCE: "BatchInferenceJob",
    SEGMENTS: "BatchSegmentJob",
}
"""By kind of schedule what a run makes."""


class NothingToDo(Exception):
    """The run has nothing to begin; the message says why."""


def begin(settings: Settings, arn: str, what: str, moment: datetime, run: str) -> str:
    """The id of the job or version that a run (`dag_id/run_id`) has begun; a retry of the run gets the same.

    `moment` is when it was due. Raises NothingToDo, and what the operation raises.
    """
    with transaction(settings) as conn:
        context = _context(conn, settings, run)
        resource, record = _declared(context, arn, what)
        for one in store.in_group(conn, str(resource.group_id), _MADE[kind_of(what)]):
            if one.request_id == run:
                log.info("this run has made %s already", one.arn)
                return one.id
        if what == IMPORT:
            made = _import(context, resource, record, moment)
        elif what in (FULL, UPDATE):
            _refuse_without_news(conn, resource, record["mode"])
            made = create_automatic(context, resource, scheduled_for=moment, mode=record["mode"], tags=record["tags"])
        else:
            made = _job(context, resource, what, record["given"], moment)
        log.info("made %s", made.arn)
        return made.id


def make_campaigns(settings: Settings, arn: str, run: str) -> list[str]:
    """The ARNs of the campaigns that are declared for the solution and were not there; they serve its newest version."""
    with transaction(settings) as conn:
        context = _context(conn, settings, run)
        solution, record = _declared(context, arn, FULL)
        made = []
        for given in record["campaigns"]:
            if store.get(conn, arn=arns.build("Campaign", settings.region, settings.account_id, given["name"])) is None:
                newest = {"solutionVersionArn": f"{solution.arn}/{arns.LATEST}"}
                made.append(campaigns.create_campaign(context, {**given, **newest})["campaignArn"])
        log.info("made %s", ", ".join(made) or "no campaign: those that are declared are there")
        return made


def _declared(context: Context, arn: str, what: str) -> tuple[Resource, Record]:
    """The dataset or solution, held until the transaction ends, and its schedule; raises NothingToDo."""
    try:
        resource = lookup.lock_active(context, "Dataset" if what == IMPORT else "Solution", arn)
    except (ResourceNotFound, ResourceInUse) as gone:
        raise NothingToDo(str(gone)) from None
    record = resource.internal.get(DECLARED, {}).get(what)
    if record is None:
        raise NothingToDo(f"the schedule is no longer declared: {what} of {arn}")
    return resource, record


def _refuse_without_news(conn: Connection, solution: Resource, mode: str) -> None:
    """Raise NothingToDo for a training without any data, or an update without new data or a version to update."""
    if mode != "UPDATE":
        if not new_data(conn, solution, None):
            raise NothingToDo(f"there are no interactions to train {solution.arn} from yet")
        return
    versions = store.children(conn, solution.id, "SolutionVersion")
    active = [version for version in versions if version.status == store.ACTIVE]
    if not active:
        raise NothingToDo(f"{solution.arn} has no version to update yet")
    if not (new_data(conn, solution, active[-1]) or new_items(conn, str(solution.group_id), active[-1].internal)):
        raise NothingToDo(f"nothing is new since {active[-1].arn}")


def _import(context: Context, dataset: Resource, record: Record, moment: datetime) -> Resource:
    location = data.find(context.settings, record["location"])
    if location is None:
        raise NothingToDo(f"nothing lies at {record['location']}")
    group, kind = lookup.group_of(context, dataset), dataset.doc["datasetType"].lower()
    given = {
        **{member: record[member] for member in ("roleArn", "tags")},
        # INCREMENTAL adds to what is there, so the first is FULL.
        "importMode": record["importMode"] if "snapshot" in dataset.internal else "FULL",
        "jobName": f"{group.name[:30]}-{kind[:12]}-{moment:%Y%m%d-%H%M%S}",
        "datasetArn": dataset.arn,
        "dataSource": {"dataLocation": location},
    }
    if record.get(PUBLISH):
        given[PUBLISH] = any(map(can_publish, store.in_group(context.conn, group.id, "MetricAttribution")))
        if not given[PUBLISH]:
            log.info("no attribution report: no metric attribution of the group has an s3DataDestination")
    made = store.get(context.conn, arn=import_jobs.create_dataset_import_job(context, given)["datasetImportJobArn"])
    assert made is not None, "it was created a moment ago"
    return made


def _job(context: Context, solution: Resource, what: str, given: Mapping[str, Any], moment: datetime) -> Resource:
    """A batch job of the solution's newest version, whose answers go to a folder of their own."""
    versions = store.children(context.conn, solution.id, "SolutionVersion")
    if not any(version.status == store.ACTIVE for version in versions):
        raise NothingToDo(f"{solution.arn} has no version that could answer yet")
    asked = given["jobInput"]["s3DataSource"]
    location = data.find(context.settings, asked["path"])
    if location is None:
        raise NothingToDo(f"nothing lies at {asked['path']}")
    name, to = f"{solution.name[:28]}-{what}-{moment:%Y%m%d-%H%M%S}", given["jobOutput"]["s3DataDestination"]
    request = {
        **given,
        "jobName": name,
        "solutionVersionArn": resolve(context, f"{solution.arn}/{arns.LATEST}").arn,
        "jobInput": {"s3DataSource": {**asked, "path": location}},
        "jobOutput": {"s3DataDestination": {**to, "path": f"{to['path'].rstrip('/')}/{name}/"}},
    }
    kind = _MADE[kind_of(what)]
    create = {
        "BatchInferenceJob": batch_inference_jobs.create_batch_inference_job,
        "BatchSegmentJob": batch_segment_jobs.create_batch_segment_job,
    }[kind]
    made = store.get(context.conn, arn=create(context, request)[f"{member(kind)}Arn"])
    assert made is not None, "it was created a moment ago"
    return made


def _context(conn: Connection, settings: Settings, run: str) -> Context:
    return Context(conn, settings, run, conn.execute(select(func.now())).scalar_one())
