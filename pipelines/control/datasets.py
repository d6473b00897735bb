"""Datasets: at most one of a type in a group, empty until the first import."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from itertools import chain

from sqlalchemy import delete as sql_delete

from pipelines.aws.errors import InvalidInput, ResourceInUse
from pipelines.control import avro, lookup, views
from pipelines.control.context import Context, Given
from pipelines.control.creation import arn_of, create
from pipelines.datasets.rewriting_lock import is_rewritten
from pipelines.datasets.schema import Field, read_schema
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.registry.tables import events

TYPES = ("INTERACTIONS", "ITEMS", "USERS", "ACTIONS", "ACTION_INTERACTIONS")
REPLACEABLE = ("ITEMS", "USERS")
"""Types whose schema can be replaced (spec: datasets.md section 11)."""
# Unlike AWS, resources: DeleteDataset takes `dataset/<group>/EVENT_INTERACTIONS`, which exists nowhere else, and
# deletes the group's streamed events. Old clean-up code calls it.
STREAMED = "EVENT_INTERACTIONS"
"""Until 2020 AWS kept streamed events in a dataset of this type; old clean-up code deletes it by its ARN."""

describe = views.describing("Dataset")
list_all = views.listing("Dataset", "datasets", within="DatasetGroup")


def create_dataset(context: Context, given: Given) -> Given:
    """Raises InvalidInput when type, schema and group do not fit together."""
    group = lookup.lock_active(context, "DatasetGroup", given["datasetGroupArn"])
    schema = lookup.lock(context, "Schema", given["schemaArn"])
    dataset_type = _dataset_type(given["datasetType"])
    _check_fit(dataset_type, schema, group)
    doc = {"datasetGroupArn": group.arn, "datasetType": dataset_type, "schemaArn": schema.arn}
    if dataset_type == "ACTION_INTERACTIONS":
        doc["trackingId"] = str(uuid.uuid4())
    made = create(
        context,
        "Dataset",
        given,
        arn_parts=(group.name, dataset_type),
        group=group,
        schema=schema,
        doc=doc,
    )
    return {"datasetArn": made.arn}


def _dataset_type(given: str) -> str:
    dataset_type = given.upper()
    if dataset_type not in TYPES:
        raise InvalidInput(f"datasetType {given!r} is not a dataset type; available: {', '.join(TYPES)}.")
    return dataset_type


def _check_fit(dataset_type: str, schema: Resource, group: Resource) -> None:
    described = avro.dataset_type(schema.doc["schema"])
    if described != dataset_type:
        raise InvalidInput(f"schemaArn: the schema's name says {described}, but datasetType is {dataset_type}.")
    if schema.doc.get("domain") != group.doc.get("domain"):
        wanted = group.doc.get("domain") or "no domain"
        has = schema.doc.get("domain") or "no domain"
        raise InvalidInput(f"schemaArn: the dataset group has {wanted} but the schema was created with {has}.")


def update_dataset(context: Context, given: Given) -> Given:
    """Replace the schema of an Items or Users dataset by one that adds fields; imports from now on use it.

    Rows that are there have nulls in the new fields until they are imported again, and solutions that are there go on
    without them (see solutions.create_solution). Raises ResourceInUse while the dataset is not ACTIVE or an import into
    it is unfinished, InvalidInput when the schemas do not fit.
    """
    dataset = lookup.lock_active(context, "Dataset", given["datasetArn"])
    schema = lookup.lock(context, "Schema", given["schemaArn"])
    dataset_type = dataset.doc["datasetType"]
    if dataset_type not in REPLACEABLE:
        raise InvalidInput(f"datasetArn: the schema of {dataset_type} cannot be replaced, only of ITEMS and USERS.")
    views.refuse_if_blocked(dataset, _unfinished_imports(context, dataset))
    _check_fit(dataset_type, schema, lookup.group_of(context, dataset))
    avro.check_replacement(
        lookup.require(context, "Schema", dataset.doc["schemaArn"]).doc["schema"], schema.doc["schema"]
    )
    now = round(context.now.timestamp(), 3)
    update = {
        "schemaArn": schema.arn,
        "status": store.ACTIVE,
        "creationDateTime": now,
        "lastUpdatedDateTime": now,
    }
    doc = {"schemaArn": schema.arn, "latestDatasetUpdate": update}
    store.update(context.conn, dataset.id, doc=doc, schema_id=schema.id)
    return {"datasetArn": dataset.arn}


def columns(context: Context, group: Resource) -> dict[str, list[str]]:
    """The columns that each of the group's datasets has now, by dataset type."""
    return {kind: [field.name for field in of_kind] for kind, of_kind in fields(context, group).items()}


def fields(context: Context, group: Resource) -> dict[str, tuple[Field, ...]]:
    """The same with what their schemas say of them."""
    datasets = [one for one in store.in_group(context.conn, group.id, "Dataset") if one.schema_id is not None]
    schemas = {one.doc["datasetType"]: store.get(context.conn, id=one.schema_id) for one in datasets}
    return {
        kind: read_schema(schema.doc["schema"], kind).fields for kind, schema in schemas.items() if schema is not None
    }


def _unfinished_imports(context: Context, dataset: Resource) -> list[Resource]:
    imports = store.children(context.conn, dataset.id, "DatasetImportJob")
    return [job for job in imports if job.status in store.UNFINISHED]


def _blockers(context: Context, dataset: Resource) -> Iterable[Resource]:
    """Jobs that read or write it, trainings of its group, and deletions of users, which go through all datasets."""
    group_id = dataset.group_id or ""
    jobs = store.children(context.conn, dataset.id)
    of_group = (store.in_group(context.conn, group_id, kind) for kind in ("SolutionVersion", "DataDeletionJob"))
    return [one for one in chain(jobs, *of_group) if one.status in store.UNFINISHED]


_delete = views.deleting("Dataset", _blockers)


def delete_dataset(context: Context, given: Given) -> Given:
    """Raises ResourceInUse while a job or a training that needs it is unfinished, or its snapshot is being rewritten.

    `dataset/<group>/EVENT_INTERACTIONS` stands for the group's streamed events: they are deleted.
    """
    arn = given["datasetArn"]
    prefix, _, last = arn.rpartition("/")
    if last == STREAMED:
        group_arn = arn_of(context, "DatasetGroup", prefix.rpartition("/")[2])
        group = lookup.lock(context, "DatasetGroup", group_arn)
        context.conn.execute(sql_delete(events).where(events.c.group_id == group.id))
        return {}
    dataset = lookup.lock(context, "Dataset", arn)
    if is_rewritten(context.conn, dataset.id):
        raise ResourceInUse(f"{arn} is being compacted; try again in a few minutes.")
    return _delete(context, given)
