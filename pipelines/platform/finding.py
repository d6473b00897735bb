"""A resource as a person names it on the command line: by ARN, name or id."""

from __future__ import annotations

import re

from sqlalchemy import Connection, or_, select

from pipelines.registry import paging, store
from pipelines.registry.tables import resources

_SHORT = re.compile(r"[0-9a-f]{8}")
"""The end of a solution version's ARN."""


class NotFound(LookupError):
    """There is no such resource; the message names those there are."""


def find(conn: Connection, kind: str, given: str | None, what: str) -> store.Resource:
    """The newest resource of the kind with that ARN, name or id (None: of all); `what` is what a person calls the kind.

    Raises NotFound.
    """
    query = select(resources.c.id).where(resources.c.kind == kind).order_by(resources.c.created_at.desc())
    if given is not None:
        query = query.where(or_(resources.c.arn == given, resources.c.name == given, resources.c.id == given))
    id = conn.execute(query.limit(1)).scalar_one_or_none()
    found = store.get(conn, id=id) if id is not None else None
    if found is None:
        newest = [resource.name for resource in paging.page(conn, kind, limit=10).resources]
        there = f"the newest are {', '.join(newest)}" if newest else "there is none yet"
        raise NotFound(f"there is no {what}{f' {given!r}' if given is not None else ''}; {there}")
    return found


def find_version(conn: Connection, given: str, what: str = "solution version") -> store.Resource:
    """The solution version with that ARN, name or id, or with an ARN that ends in it, as `versions` prints it.

    Raises NotFound, for an end that several have too.
    """
    if _SHORT.fullmatch(given):
        of_kind = resources.c.kind == "SolutionVersion"
        ids = list(conn.execute(select(resources.c.id).where(of_kind, resources.c.arn.endswith(f"/{given}"))).scalars())
        if len(ids) > 1:
            raise NotFound(f"{len(ids)} solutions have a version {given}; name it by its ARN")
        given = ids[0] if ids else given
    return find(conn, "SolutionVersion", given, what)
