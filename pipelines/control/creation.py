"""Making a resource: its ARN, its tags, its limits; the same for every kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pipelines.aws import arns
from pipelines.aws.errors import LimitExceeded
from pipelines.control.context import Context, Given
from pipelines.control.tags import read_tags
from pipelines.quotas import QUOTAS, Quota
from pipelines.registry import store
from pipelines.registry.store import Resource

NOT_COUNTED = store.DELETING | {store.CREATE_FAILED}
"""States in which a resource takes no place of a quota."""


def arn_of(context: Context, kind: str, *parts: str) -> str:
    """The ARN that a resource of `kind` has on this platform."""
    return arns.build(kind, context.settings.region, context.settings.account_id, *parts)


# Unlike AWS, resources: dataset groups, datasets, solutions, event trackers, filters and metric attributions are ACTIVE at
# once, and so are updates of datasets and solutions. Nothing has to be made for them that takes time.
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
    """Write the resource that a Create request describes; raises ResourceAlreadyExists, TooManyTags, InvalidInput,
    LimitExceeded, after which the transaction writes nothing.

    Its name is the request's `name` or `jobName` unless given, its ARN ends in the name unless `arn_parts` are given.
    """
    name = name or given.get("name") or given["jobName"]
    made = store.insert(
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
    check_quotas(context, made)
    return made


def members(given: Given, *names: str) -> Given:
    """Those of the request's members that were given."""
    return {name: given[name] for name in names if name in given}


def check_quotas(context: Context, resource: Resource) -> None:
    """Raise LimitExceeded when there are more of its kind than may be, it included."""
    for quota in QUOTAS:
        if quota.kind == resource.kind and quota.only.items() <= resource.doc.items():
            _check_quota(context, quota, resource)


# Unlike AWS, limits: the message of LimitExceededException also names the quota. On one's own machines it can be
# raised.
def _check_quota(context: Context, quota: Quota, made: Resource) -> None:
    """Raise LimitExceeded when there are more than the quota allows, `made` included, in AWS's words."""
    most = context.settings.quotas.most(quota)
    if most is None:
        return
    there = store.count(
        context.conn,
        quota.kind,
        group_id=made.group_id if quota.per_group else None,
        statuses=store.UNFINISHED if quota.unfinished else None,
        other_than=() if quota.unfinished else NOT_COUNTED,
        doc=quota.only or None,
    )
    if there <= most:
        return
    which = f"The quota is {quota.name} of OPENPERSONALIZE_QUOTAS."
    if quota.unfinished:
        raise LimitExceeded(f"More than {most} resources with PENDING or IN_PROGRESS status. {which}")
    raise LimitExceeded(
        f"Cannot create a {_words(quota.kind)}. More than {most} resources in ACTIVE state. "
        f"Please delete some and try again. {which}"
    )


def _words(kind: str) -> str:
    """`DatasetGroup` -> `dataset group`."""
    return re.sub("(?<!^)([A-Z])", r" \1", kind).lower()
