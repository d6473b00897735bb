"""Rows of the registry for tests that need no API: a group with what hangs on it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from pipelines.aws import arns
from pipelines.registry import store
from pipelines.registry.store import Resource

REGION, ACCOUNT = "us-east-1", "123456789012"
INTERACTIONS_SCHEMA = (
    '{"type": "record", "name": "Interactions", "namespace": "com.amazonaws.personalize.schema", "fields": ['
    '{"name": "USER_ID", "type": "string"}, {"name": "ITEM_ID", "type": "string"}, '
    '{"name": "TIMESTAMP", "type": "long"}, {"name": "EVENT_TYPE", "type": "string"}], "version": "1.0"}'
)
RECIPE = "arn:aws:personalize:::recipe/aws-user-personalization"


def add(conn: Connection, kind: str, *parts: str, status: str | None = store.ACTIVE, **given: Any) -> Resource:
    """A resource of `kind` whose ARN ends in `parts`."""
    group, parent, schema = (given.pop(key, None) for key in ("group", "parent", "schema"))
    return store.insert(
        conn,
        kind=kind,
        arn=arns.build(kind, REGION, ACCOUNT, *parts),
        name="/".join(parts),
        status=status,
        group_id=group.id if group else None,
        parent_id=parent.id if parent else None,
        schema_id=schema.id if schema else None,
        doc=given.pop("doc", {}),
        internal=given.pop("internal", None),
        request_id=given.pop("request_id", "request-1"),
    )


def add_group(conn: Connection, name: str = "shop") -> Resource:
    return add(conn, "DatasetGroup", name)


def add_dataset(conn: Connection, group: Resource, kind: str = "INTERACTIONS", **internal: Any) -> Resource:
    schema = store.get(conn, arn=arns.build("Schema", REGION, ACCOUNT, f"{group.name}-{kind}"))
    schema = schema or add(conn, "Schema", f"{group.name}-{kind}", status=None, doc={"schema": INTERACTIONS_SCHEMA})
    doc = {"datasetType": kind, "schemaArn": schema.arn}
    return add(conn, "Dataset", group.name, kind, group=group, schema=schema, doc=doc, internal=internal)


def add_solution(conn: Connection, group: Resource, name: str = "taste", **doc: Any) -> Resource:
    return add(conn, "Solution", name, group=group, doc={"recipeArn": RECIPE, "solutionConfig": {}, **doc})


def add_version(
    conn: Connection, solution: Resource, suffix: str = "00000001", status: str = store.ACTIVE, **internal: Any
) -> Resource:
    group = store.get(conn, id=solution.group_id)
    doc = {"solutionArn": solution.arn, "recipeArn": solution.doc["recipeArn"], "solutionConfig": {}}
    return add(
        conn,
        "SolutionVersion",
        solution.name,
        suffix,
        group=group,
        parent=solution,
        status=status,
        doc=doc,
        internal=internal,
    )


def wanted(version: Resource, **config: Any) -> dict[str, Any]:
    """A deployment of a version, as the control plane writes it."""
    return {
        "id": store.new_id(),
        "solution_version_id": version.id,
        "solution_version_arn": version.arn,
        "bento": f"solution-{version.parent_id}:{version.id}",
        "config": config,
        "minProvisionedTPS": 1,
    }


def add_campaign(
    conn: Connection, version: Resource, name: str = "home", status: str = store.CREATE_PENDING, **config: Any
) -> Resource:
    assert version.parent_id is not None
    solution = store.get(conn, id=version.parent_id)
    group = store.get(conn, id=version.group_id)
    deployment = wanted(version, **config)
    doc = {"solutionVersionArn": version.arn, "minProvisionedTPS": 1, "campaignConfig": config}
    return add(
        conn,
        "Campaign",
        name,
        group=group,
        parent=solution,
        status=status,
        doc=doc,
        internal={"deployment": deployment},
    )
