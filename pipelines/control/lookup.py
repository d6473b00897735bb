"""Finding what a request names, and holding it still while something is hung on it or taken away.

Lock order, everywhere: dataset group, then the resource. Two operations inside one group follow one another, so a
create that races the delete of its parent sees it either intact or gone.
"""

from __future__ import annotations

from pipelines.aws.errors import ResourceInUse, ResourceNotFound
from pipelines.control.context import Context
from pipelines.registry import store
from pipelines.registry.store import Resource


def require(context: Context, kind: str, arn: str) -> Resource:
    """The resource of that kind and ARN, unlocked; raises ResourceNotFound."""
    return _of_kind(store.get(context.conn, arn=arn), kind, arn)


def lock(context: Context, kind: str, arn: str) -> Resource:
    """The same, held with its dataset group until the transaction ends; raises ResourceNotFound."""
    found = require(context, kind, arn)
    if found.group_id is not None:
        store.get(context.conn, id=found.group_id, lock=True)
    return _of_kind(store.get(context.conn, id=found.id, lock=True), kind, arn)


def lock_active(context: Context, kind: str, arn: str) -> Resource:
    """The same, for what something new shall hang on; raises ResourceNotFound, ResourceInUse unless ACTIVE."""
    found = lock(context, kind, arn)
    if found.status not in (store.ACTIVE, None):
        raise ResourceInUse(f"{arn} is {found.status}; it must be ACTIVE.")
    return found


def group_of(context: Context, resource: Resource) -> Resource:
    """The dataset group a resource belongs to."""
    return _of_kind(store.get(context.conn, id=resource.group_id or ""), "DatasetGroup", resource.arn)


def _of_kind(found: Resource | None, kind: str, arn: str) -> Resource:
    if found is None or found.kind != kind:
        raise ResourceNotFound(f"Resource Arn {arn} does not exist: no {kind} has it.")
    return found
