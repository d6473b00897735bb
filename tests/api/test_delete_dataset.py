"""DeleteDataset and DeleteSchema: what keeps a dataset or its schema from going."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from pipelines.datasets.rewriting_lock import alone
from pipelines.registry import store
from pipelines.settings import Settings
from tests.support.group import Group, refused
from tests.support.registry import add, add_solution


@pytest.fixture
def in_group(db: Engine, group: Group) -> Any:
    """Adds a resource to the group: a job of the dataset, a training, a deletion of users."""

    def make(kind: str, status: str) -> store.Resource:
        with db.begin() as conn:
            dataset, there = store.get(conn, arn=group.dataset), store.get(conn, arn=group.arn)
            assert dataset is not None and there is not None
            parent = None if kind == "DataDeletionJob" else dataset
            if kind == "SolutionVersion":
                parent = add_solution(conn, there)
            return add(conn, kind, "one", "00000001", status=status, group=there, parent=parent)

    return make


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("DatasetImportJob", "CREATE PENDING"),
        ("DatasetImportJob", "CREATE IN_PROGRESS"),
        ("DatasetExportJob", "CREATE IN_PROGRESS"),
        ("SolutionVersion", "CREATE PENDING"),
        ("SolutionVersion", "CREATE IN_PROGRESS"),
        ("DataDeletionJob", "PENDING"),
        ("DataDeletionJob", "IN_PROGRESS"),
    ],
)
def test_what_is_under_way_keeps_a_dataset(personalize, group: Group, in_group, move, kind, status) -> None:
    busy = in_group(kind, status)
    code, message = refused(personalize.delete_dataset, datasetArn=group.dataset)
    assert (code, busy.arn in message) == ("ResourceInUseException", True)
    move(busy.arn, status="COMPLETED" if kind == "DataDeletionJob" else "ACTIVE")
    personalize.delete_dataset(datasetArn=group.dataset)
    assert personalize.describe_dataset(datasetArn=group.dataset)["dataset"]["status"] == "DELETE PENDING"


def test_a_compaction_keeps_a_dataset(personalize, group: Group, db: Engine, settings: Settings) -> None:
    with db.begin() as conn:
        dataset = store.get(conn, arn=group.dataset)
        assert dataset is not None
    with alone(settings, dataset.id):
        code, message = refused(personalize.delete_dataset, datasetArn=group.dataset)
        assert (code, "compacted" in message) == ("ResourceInUseException", True)
    personalize.delete_dataset(datasetArn=group.dataset)


def test_a_schema_stays_while_a_dataset_refers_to_it(personalize, group: Group) -> None:
    code, message = refused(personalize.delete_schema, schemaArn=group.schema)
    assert (code, group.dataset in message) == ("ResourceInUseException", True)
    personalize.delete_dataset(datasetArn=group.dataset)
    personalize.delete_schema(schemaArn=group.schema)
    assert refused(personalize.delete_schema, schemaArn=group.schema)[0] == "ResourceNotFoundException"


def test_what_is_no_dataset_is_not_found(personalize, group: Group) -> None:
    for arn in (group.arn, group.schema, group.dataset.replace("INTERACTIONS", "USERS")):
        assert refused(personalize.delete_dataset, datasetArn=arn)[0] == "ResourceNotFoundException"
