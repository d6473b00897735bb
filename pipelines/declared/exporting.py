"""From what is there to a file that, applied, makes the same: on an empty platform all of it, here nothing.

Data does not go with it: where a schedule imports from is written, or else where the last import came from, if that can
still be there. Versions do not either; a campaign that does not follow the newest one says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sqlalchemy import Connection

from pipelines.control import by_hand
from pipelines.declared import comparing
from pipelines.declared.schedules import DECLARED, FULL, IMPORT, INFERENCE, SEGMENTS, UPDATE, kind_of
from pipelines.declared.shape import DATASETS
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.registry.tags import tags_of

_SOLUTION = (
    "recipeArn",
    "performHPO",
    "performAutoTraining",
    "performIncrementalUpdate",
    "eventType",
    "solutionConfig",
)


def export(conn: Connection, group: Resource) -> dict[str, Any]:
    """The file's content; empty sections are left out."""
    members = [one for one in store.in_group(conn, group.id) if not one.is_deleting]

    def of_kind(kind: str) -> list[Resource]:
        return [one for one in members if one.kind == kind]

    datasets = {one.doc["datasetType"]: one for one in of_kind("Dataset")}
    campaigns = of_kind("Campaign")
    found: dict[str, Any] = {
        "datasetGroup": _service(conn, group, ("domain", "roleArn", "kmsKeyArn")),
        "datasets": {key: _dataset(conn, datasets[kind]) for key, kind in DATASETS.items() if kind in datasets},
        "solutions": [_solution(conn, one, campaigns) for one in of_kind("Solution")],
    }
    for tracker in of_kind("EventTracker"):
        found["eventTracker"] = _service(conn, tracker, ())
    for key, kind in (("filters", "Filter"), ("recommenders", "Recommender")):
        found[key] = [_service(conn, one, comparing.KINDS[kind].members) for one in of_kind(kind)]
    return {key: section for key, section in found.items() if section}


def _service(conn: Connection, resource: Resource, members: tuple[str, ...], **more: Any) -> dict[str, Any]:
    given = {name: resource.doc[name] for name in members if resource.doc.get(name) not in (None, {}, False)}
    tags = [{"tagKey": key, "tagValue": value} for key, value in tags_of(conn, resource.id).items()]
    return {"serviceConfig": {"name": resource.name, **given, **more, **({"tags": tags} if tags else {})}}


def _dataset(conn: Connection, dataset: Resource) -> dict[str, Any]:
    schema = store.get(conn, id=dataset.schema_id or "")
    assert schema is not None, "a dataset that stays has its schema"
    found: dict[str, Any] = {
        "dataset": _service(conn, dataset, ()),
        "schema": {"serviceConfig": {"name": schema.name, "schema": json.loads(schema.doc["schema"])}},
    }
    record = dataset.internal.get(DECLARED, {}).get(IMPORT)
    if record is not None:
        found["serviceConfig"] = {
            "dataSource": {"dataLocation": record["location"]},
            **_options(record, importMode="FULL", roleArn=by_hand.ROLE, tags=[], publishAttributionMetricsToS3=False),
        }
        found["workflowConfig"] = {"schedules": {IMPORT: record["expression"]}}
    else:
        location = _last_location(conn, dataset)
        if location is not None:
            found["serviceConfig"] = {"dataSource": {"dataLocation": location}}
    return found


def _last_location(conn: Connection, dataset: Resource) -> str | None:
    """Where the data came from that is there; None when it cannot be fetched again."""
    jobs = store.children(conn, dataset.id, "DatasetImportJob")
    full = [one for one in jobs if one.status == store.ACTIVE and one.doc.get("importMode") == "FULL"]
    location: str | None = full[-1].doc["dataSource"]["dataLocation"] if full else None
    if location is not None and location.startswith("file://") and not Path(unquote(urlsplit(location).path)).exists():
        return None
    return location


def _solution(conn: Connection, solution: Resource, campaigns: list[Resource]) -> dict[str, Any]:
    found = _service(conn, solution, _SOLUTION)
    declared = solution.internal.get(DECLARED, {})
    # It is on unless the file says otherwise, and off when the file has a schedule instead.
    if solution.doc["performAutoTraining"] != (FULL not in declared):
        found["serviceConfig"]["performAutoTraining"] = solution.doc["performAutoTraining"]
    else:
        found["serviceConfig"].pop("performAutoTraining", None)
    trainings = {what: declared[what] for what in (FULL, UPDATE) if what in declared}
    if trainings:
        found["workflowConfig"] = {"schedules": {what: record["expression"] for what, record in trainings.items()}}
        version = _options(next(iter(trainings.values())), tags=[])
        version |= _options(declared.get(FULL, {"mode": "FULL"}), mode="FULL")
        if version:
            renamed = {"trainingMode" if name == "mode" else name: value for name, value in version.items()}
            found["serviceConfig"]["solutionVersion"] = renamed
    served = [one for one in campaigns if comparing.of_campaign(one)["solution"] == solution.arn]
    if served:
        found["campaigns"] = [_campaign(conn, one) for one in served]
    for key, kind in (("batchInferenceJobs", INFERENCE), ("batchSegmentJobs", SEGMENTS)):
        jobs = sorted((what for what in declared if kind_of(what) == kind), key=lambda what: (len(what), what))
        if jobs:
            found[key] = [_job(declared[what]) for what in jobs]
    return found


def _job(record: Mapping[str, Any]) -> dict[str, Any]:
    implied = {"roleArn": by_hand.ROLE, "tags": []}
    given = {name: value for name, value in record["given"].items() if implied.get(name) != value}
    return {"serviceConfig": given, "workflowConfig": {"schedule": record["expression"]}}


def _campaign(conn: Connection, campaign: Resource) -> dict[str, Any]:
    deployment = campaign.internal["deployment"]
    config = {"syncWithLatestSolutionVersion": False, **deployment["config"]}
    if config["syncWithLatestSolutionVersion"]:
        del config["syncWithLatestSolutionVersion"]
    least = {"minProvisionedTPS": deployment["minProvisionedTPS"]}
    return _service(conn, campaign, (), **least, **({"campaignConfig": config} if config else {}))


def _options(record: Mapping[str, Any], **defaults: Any) -> dict[str, Any]:
    """What differs from what the file would mean without it."""
    return {name: record[name] for name, default in defaults.items() if record.get(name, default) != default}
