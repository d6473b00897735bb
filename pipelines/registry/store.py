"""The resources: read, written, listed. Every function works in the caller's transaction.

What changes together is written in one transaction: a resource and the wish for its DAG run (wishes.py), an update and
what hangs on it. `lock=True` takes the row for update: who creates a child locks the parent, who deletes the parent
locks it too, so neither overlooks the other.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import Connection, Row, Select, cast, func, select
from sqlalchemy import update as sql_update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as pg_insert

from pipelines.aws.errors import ResourceAlreadyExists, ResourceNotFound
from pipelines.registry.tables import resources
from pipelines.registry.tags import put_tags

CREATE_PENDING = "CREATE PENDING"
CREATE_IN_PROGRESS = "CREATE IN_PROGRESS"
ACTIVE = "ACTIVE"
CREATE_FAILED = "CREATE FAILED"
DELETE_PENDING = "DELETE PENDING"
DELETE_IN_PROGRESS = "DELETE IN_PROGRESS"

# Of a solution version whose training a client stops.
CREATE_STOPPING = "CREATE STOPPING"
CREATE_STOPPED = "CREATE STOPPED"

# Of a recommender that is stopped and started again.
STOP_PENDING = "STOP PENDING"
STOP_IN_PROGRESS = "STOP IN_PROGRESS"
INACTIVE = "INACTIVE"
START_PENDING = "START PENDING"
START_IN_PROGRESS = "START IN_PROGRESS"

# A data deletion job makes nothing, and says so.
PENDING = "PENDING"
IN_PROGRESS = "IN_PROGRESS"
COMPLETED = "COMPLETED"
FAILED = "FAILED"

UNFINISHED = frozenset(
    {
        CREATE_PENDING,
        CREATE_IN_PROGRESS,
        CREATE_STOPPING,
        STOP_PENDING,
        STOP_IN_PROGRESS,
        START_PENDING,
        START_IN_PROGRESS,
        PENDING,
        IN_PROGRESS,
    }
)
WORKING = UNFINISHED - {CREATE_STOPPING}
"""Those whose work can still succeed or fail."""
DELETING = frozenset({DELETE_PENDING, DELETE_IN_PROGRESS})


class _Unset(Enum):
    UNSET = "unset"


UNSET = _Unset.UNSET


@dataclass(frozen=True)
class Resource:
    """A row of `resources`; see pipelines/registry/tables.py for what each column means."""

    id: str
    kind: str
    arn: str
    name: str
    group_id: str | None
    parent_id: str | None
    schema_id: str | None
    status: str | None
    failure_reason: str | None
    doc: dict[str, Any]
    internal: dict[str, Any]
    request_id: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def is_deleting(self) -> bool:
        return self.status in DELETING


def new_id() -> str:
    """16 hex digits, never used before."""
    return secrets.token_hex(8)


def get(conn: Connection, *, arn: str | None = None, id: str | None = None, lock: bool = False) -> Resource | None:
    """The resource of that ARN or id, or None; `lock` holds its row until the transaction ends."""
    query = select(resources).where(resources.c.arn == arn if id is None else resources.c.id == id)
    row = conn.execute(query.with_for_update() if lock else query).one_or_none()
    return resource_of(row) if row is not None else None


def insert(
    conn: Connection,
    *,
    kind: str,
    arn: str,
    name: str,
    status: str | None,
    group_id: str | None = None,
    parent_id: str | None = None,
    schema_id: str | None = None,
    doc: Mapping[str, Any],
    internal: Mapping[str, Any] | None = None,
    request_id: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Resource:
    """Write a new resource with its tags; raises ResourceAlreadyExists when the ARN is taken.

    Of two transactions that insert one ARN the second waits for the first, and its own transaction stays usable.
    """
    values = {
        "id": new_id(),
        "kind": kind,
        "arn": arn,
        "name": name,
        "status": status,
        "group_id": group_id,
        "parent_id": parent_id,
        "schema_id": schema_id,
        "doc": dict(doc),
        "internal": dict(internal or {}),
        "request_id": request_id,
    }
    statement = pg_insert(resources).values(values).on_conflict_do_nothing(index_elements=[resources.c.arn])
    row = conn.execute(statement.returning(*resources.c)).one_or_none()
    if row is None:
        raise ResourceAlreadyExists(f"Another resource with Amazon Resource Name (ARN) {arn} already exists.")
    made = resource_of(row)
    if tags:
        put_tags(conn, made.id, tags)
    return made


def update(
    conn: Connection,
    id: str,
    *,
    status: str | _Unset = UNSET,
    failure_reason: str | _Unset | None = UNSET,
    doc: Mapping[str, Any] | None = None,
    internal: Mapping[str, Any] | None = None,
    parent_id: str | None = None,
    schema_id: str | None = None,
    touch: bool = True,
) -> Resource:
    """Change what is given; `doc` and `internal` are merged at their top level. Raises ResourceNotFound.

    `touch=False` leaves updated_at (lastUpdatedDateTime) as it is.
    """
    values: dict[str, Any] = {}
    if status is not UNSET:
        values["status"] = status
    if failure_reason is not UNSET:
        values["failure_reason"] = failure_reason
    if doc is not None:
        values["doc"] = resources.c.doc.op("||")(cast(dict(doc), JSONB))
    if internal is not None:
        values["internal"] = resources.c.internal.op("||")(cast(dict(internal), JSONB))
    if parent_id is not None:
        values["parent_id"] = parent_id
    if schema_id is not None:
        values["schema_id"] = schema_id
    if touch:
        values["updated_at"] = func.now()
    row = None
    if values:
        row = conn.execute(
            sql_update(resources).where(resources.c.id == id).values(values).returning(*resources.c)
        ).one_or_none()
    changed = resource_of(row) if row is not None else (get(conn, id=id) if not values else None)
    if changed is None:
        raise ResourceNotFound(f"The resource with id {id} is gone.")
    return changed


def delete(conn: Connection, id: str) -> None:
    """Remove the row (with tags, outbox and deployments); what refers to it must be gone."""
    conn.execute(resources.delete().where(resources.c.id == id))


def children(conn: Connection, id: str, kind: str | None = None) -> list[Resource]:
    """What hangs on the resource by parent_id, oldest first."""
    query = select(resources).where(resources.c.parent_id == id)
    return _all(conn, query if kind is None else query.where(resources.c.kind == kind))


def newest_child(conn: Connection, id: str, kind: str) -> Resource | None:
    """The last of `children`, without reading the others: a solution may have hundreds of versions."""
    query = select(resources).where(resources.c.parent_id == id, resources.c.kind == kind)
    newest = query.order_by(resources.c.created_at.desc(), resources.c.id.desc()).limit(1)
    row = conn.execute(newest).one_or_none()
    return resource_of(row) if row is not None else None


def of_kind(conn: Connection, kind: str) -> list[Resource]:
    """All of a kind, oldest first; for kinds of which there are few."""
    return _all(conn, select(resources).where(resources.c.kind == kind))


def in_group(conn: Connection, group_id: str, kind: str | None = None) -> list[Resource]:
    """What belongs to a dataset group, oldest first."""
    query = select(resources).where(resources.c.group_id == group_id)
    return _all(conn, query if kind is None else query.where(resources.c.kind == kind))


def release_schema(conn: Connection, schema_id: str) -> None:
    """Let go of a schema the datasets that are being deleted, so that it can be deleted before they are gone."""
    deleting = resources.c.status.in_(DELETING)
    conn.execute(sql_update(resources).where(resources.c.schema_id == schema_id, deleting).values(schema_id=None))


def uses_of_schema(conn: Connection, schema_id: str) -> list[Resource]:
    """The datasets that refer to a schema."""
    return _all(conn, select(resources).where(resources.c.schema_id == schema_id))


def count(
    conn: Connection,
    kind: str,
    *,
    group_id: str | None = None,
    statuses: Collection[str] | None = None,
    other_than: Collection[str] = (),
    doc: Mapping[str, Any] | None = None,
) -> int:
    """How many resources of a kind there are, of a group, in a status, in no status of `other_than` or with these members
    of `doc` if given; who counts waits for others who count, until their commit.
    """
    conn.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"openpersonalize:count:{kind}"))))
    query = select(func.count()).where(resources.c.kind == kind)
    if group_id is not None:
        query = query.where(resources.c.group_id == group_id)
    if statuses is not None:
        query = query.where(resources.c.status.in_(statuses))
    if other_than:
        query = query.where(func.coalesce(resources.c.status, "").not_in(other_than))
    if doc is not None:
        query = query.where(resources.c.doc.contains(dict(doc)))
    return conn.execute(query).scalar_one()


def failed_status(kind: str) -> str:
    """What a resource of that kind is called when its work has failed."""
    return FAILED if kind == "DataDeletionJob" else CREATE_FAILED


def _all(conn: Connection, query: Select[Any]) -> list[Resource]:
    return [resource_of(row) for row in conn.execute(query.order_by(resources.c.created_at, resources.c.id))]


def resource_of(row: Row[Any]) -> Resource:
    return Resource(**row._mapping)
