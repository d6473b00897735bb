"""Making a resource: its ARN, its tags, its limits; the same for every kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pipelines.aws import arns
from pipelines.aws.errors import InvalidInput, LimitExceeded, TooManyTags
from pipelines.control.context import Context, Given
from pipelines.registry import store
from pipelines.registry.store import Resource

MAX_TAGS = 50


def arn_of(context: Context, kind: str, *parts: str) -> str:
    """The ARN that a resource of `kind` has on this platform."""
    return arns.build(kind, context.settings.region, context.settings.account_id, *parts)


def create(
    context: Context,
    kind: str,
    given: Given,
    *,
    status: str | None = store.ACTIVE,
    name: str | None = None,
    arn_parts: Iterable[str] = (),
    group: Resource | None = None,
    parent: Resource | None = None,
    schema: Resource | None = None,
    doc: Mapping[str, Any],
    internal: Mapping[str, Any] | None = None,
) -> Resource:
    """Write the resource that a Create request describes; raises ResourceAlreadyExists, TooManyTags, InvalidInput.

    Its name is the request's `name` or `jobName` unless given, its ARN ends in the name unless `arn_parts` are given.
    """
    name = name or given.get("name") or given["jobName"]
    return store.insert(
        context.conn,
        kind=kind,
        arn=arn_of(context, kind, *(tuple(arn_parts) or (name,))),
        name=name,
        status=status,
        group_id=group.id if group else None,
        parent_id=parent.id if parent else None,
        schema_id=schema.id if schema else None,
        doc=doc,
        internal=internal,
        request_id=context.request_id,
        tags=read_tags(given.get("tags", [])),
    )


def members(given: Given, *names: str) -> Given:
    """Those of the request's members that were given."""
    return {name: given[name] for name in names if name in given}


def read_tags(given: list[dict[str, str]]) -> dict[str, str]:
    """The tags of a request by key; raises TooManyTags, InvalidInput."""
    if len(given) > MAX_TAGS:
        raise TooManyTags(f"tags: {len(given)} tags given; a resource can have at most {MAX_TAGS}.")
    tags = {tag["tagKey"]: tag["tagValue"] for tag in given}
    if len(tags) < len(given):
        raise InvalidInput("tags: the same tagKey is given twice.")
    reserved = sorted(key for key in tags if key.lower().startswith("aws:"))
    if reserved:
        raise InvalidInput(f"tags: tagKey {reserved[0]!r} begins with the reserved prefix aws:.")
    return tags


def check_limit(
    context: Context, kind: str, most: int, group: Resource | None = None, doc: Mapping[str, Any] | None = None
) -> None:
    """Raise LimitExceeded when more than `most` of a kind (of a group) are unfinished, the one just made included.

    `doc`: only those count whose members have these values.
    """
    group_id = group.id if group else None
    if store.count(context.conn, kind, group_id=group_id, statuses=store.UNFINISHED, doc=doc) > most:
        raise LimitExceeded(f"More than {most} resources with PENDING or IN_PROGRESS status.")
