"""What the run of a declared schedule does: begin an import or a training, and make the campaigns that wait for it.

The work itself is the run of DAG `dataset_import` or `solution_version` that its wish starts, as for a client's request.
"""

from __future__ import annotations

import logging
from datetime import datetime

from sqlalchemy import Connection, func, select

from pipelines.aws import arns
from pipelines.aws.errors import ResourceInUse, ResourceNotFound
from pipelines.control import campaigns, import_jobs, lookup
from pipelines.control.context import Context
from pipelines.control.solution_versions import create_automatic
from pipelines.declared import data
from pipelines.declared.schedules import DECLARED, FULL, IMPORT, Record
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.store import Resource
from pipelines.schedules.new_data import new_data
from pipelines.schedules.updates_due import new_items
from pipelines.settings import Settings

log = logging.getLogger(__name__)


class NothingToDo(Exception):
    """The run has nothing to begin; the message says why."""


def begin(settings: Settings, arn: str, what: str, moment: datetime, run: str) -> str:
    """The id of the import job or version that a run (`dag_id/run_id`) has begun; a retry of the run gets the same.

    `moment` is when it was due. Raises NothingToDo, and what the operation raises.
    """
    with transaction(settings) as conn:
        context = _context(conn, settings, run)
        resource, record = _declared(context, arn, what)
        begun = "DatasetImportJob" if what == IMPORT else "SolutionVersion"
        for one in store.children(conn, resource.id, begun):
            if one.request_id == run:
                log.info("this run has made %s already", one.arn)
                return one.id
        if what == IMPORT:
            made = _import(context, resource, record, moment)
        else:
            _refuse_without_news(conn, resource, record["mode"])
            made = create_automatic(context, resource, scheduled_for=moment, mode=record["mode"], tags=record["tags"])
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
    if not (new_data(conn, solution, active[-1]) or new_items(conn, solution, active[-1].internal)):
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
    made = store.get(context.conn, arn=import_jobs.create_dataset_import_job(context, given)["datasetImportJobArn"])
    assert made is not None, "it was created a moment ago"
    return made


def _context(conn: Connection, settings: Settings, run: str) -> Context:
    return Context(conn, settings, run, conn.execute(select(func.now())).scalar_one())
