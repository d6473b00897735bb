"""Describe, List and Delete: one function makes each resource's operation.

What a view says is settled by the service model: the answer is projected through the operation's output shape, so a
summary is the describe view with fewer members.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pipelines.aws.errors import ResourceInUse
from pipelines.control import lookup
from pipelines.control.context import Context, Given, Operation
from pipelines.registry import paging, store, wishes
from pipelines.registry.store import Resource

DEFAULT_PAGE = 100
Blockers = Callable[[Context, Resource], Iterable[Resource]]
"""What keeps a resource from being deleted; those being deleted themselves do not count."""


def member(kind: str) -> str:
    """`DatasetGroup` -> `datasetGroup`, the member that holds it and the beginning of its ARN's member."""
    return kind[0].lower() + kind[1:]


def view(resource: Resource) -> Given:
    """All that AWS's clients can see of a resource."""
    return {
        **resource.doc,
        "jobName" if resource.kind.endswith("Job") else "name": resource.name,
        f"{member(resource.kind)}Arn": resource.arn,
        "status": resource.status,
        "failureReason": resource.failure_reason,
        "creationDateTime": resource.created_at,
        "lastUpdatedDateTime": resource.updated_at,
    }


def describing(kind: str) -> Operation:
    """Describe<kind>."""
    name = member(kind)
    return lambda context, given: {name: view(lookup.require(context, kind, given[f"{name}Arn"]))}


def listing(kind: str, key: str, within: str | None = None) -> Operation:
    """List<kind>s under `key`, newest first; `within` is the kind whose ARN can narrow it.

    An ARN that does not exist narrows it to nothing: the service model lets these operations answer no NotFound.
    """

    def list_them(context: Context, given: Given) -> Given:
        parent_id = group_id = None
        parent_arn = given.get(f"{member(within)}Arn") if within else None
        if within and parent_arn:
            parent = store.get(context.conn, arn=parent_arn)
            found = parent.id if parent is not None and parent.kind == within else ""
            parent_id, group_id = (None, found) if within == "DatasetGroup" else (found, None)
        page = paging.page(
            context.conn,
            kind,
            group_id=group_id,
            parent_id=parent_id,
            token=given.get("nextToken"),
            limit=given.get("maxResults", DEFAULT_PAGE),
        )
        return {key: [view(resource) for resource in page.resources], "nextToken": page.next_token}

    return list_them


def deleting(kind: str, blockers: Blockers) -> Operation:
    """Delete<kind>: marks it; the reconciler removes it and what hangs on it. Raises ResourceInUse."""

    def delete(context: Context, given: Given) -> Given:
        resource = lookup.lock(context, kind, given[f"{member(kind)}Arn"])
        refuse_if_blocked(resource, blockers(context, resource))
        store.update(context.conn, resource.id, status=store.DELETE_PENDING)
        wishes.wake_reconciler(context.conn)
        return {}

    return delete


def refuse_if_blocked(resource: Resource, blockers: Iterable[Resource]) -> None:
    """Raise ResourceInUse when the resource is in transition or something that stays needs it."""
    if resource.is_deleting or resource.status in store.UNFINISHED:
        raise ResourceInUse(f"{resource.arn} is {resource.status}; try again when that has ended.")
    left = [blocker for blocker in blockers if not blocker.is_deleting]
    if left:
        shown = ", ".join(f"{blocker.arn} ({blocker.status})" for blocker in left[:3])
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        raise ResourceInUse(f"{resource.arn} is in use by {shown}{more}.")
