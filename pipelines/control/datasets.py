"""Datasets: at most one of a type in a group, empty until the first import."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from sqlalchemy import delete as sql_delete

from pipelines.aws.errors import InvalidInput
from pipelines.control import avro, lookup, views
from pipelines.control.context import Context, Given
from pipelines.control.creation import arn_of, create
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.registry.tables import events

TYPES = ("INTERACTIONS", "ITEMS", "USERS", "ACTIONS", "ACTION_INTERACTIONS")
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


def _blockers(context: Context, dataset: Resource) -> Iterable[Resource]:
    imports = store.children(context.conn, dataset.id, "DatasetImportJob")
    trainings = store.in_group(context.conn, dataset.group_id or "", "SolutionVersion")
    return [resource for resource in (*imports, *trainings) if resource.status in store.UNFINISHED]


_delete = views.deleting("Dataset", _blockers)


def delete_dataset(context: Context, given: Given) -> Given:
    """Raises ResourceInUse while an import into it or a training of its group is unfinished.

    `dataset/<group>/EVENT_INTERACTIONS` stands for the group's streamed events: they are deleted.
    """
    arn = given["datasetArn"]
    prefix, _, last = arn.rpartition("/")
    if last == STREAMED:
        group_arn = arn_of(context, "DatasetGroup", prefix.rpartition("/")[2])
        group = lookup.lock(context, "DatasetGroup", group_arn)
        context.conn.execute(sql_delete(events).where(events.c.group_id == group.id))
        return {}
    return _delete(context, given)
