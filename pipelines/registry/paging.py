"""Lists, page by page. A token says where a list goes on: opaque to clients, valid only for the list that gave it out."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Connection, select, text, tuple_

from pipelines.aws.errors import InvalidNextToken
from pipelines.registry.store import Resource
from pipelines.registry.tables import resources

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN = [column for column in resources.c if column.name != "internal"]


@dataclass(frozen=True)
class Page:
    """One page of a list; `next_token` is None on the last."""

    resources: list[Resource]
    next_token: str | None


def page(
    conn: Connection,
    kind: str,
    *,
    group_id: str | None = None,
    parent_id: str | None = None,
    token: str | None = None,
    limit: int = 100,
) -> Page:
    """The resources of a kind, newest first, `internal` left empty; raises InvalidNextToken.

    No list shows `internal`, and of a version it is more than all the rest. The token names the last row shown, so
    resources made between two calls neither repeat nor push out others.
    """
    # With None, or a list of everything would take the tokens of one narrowed to what does not exist.
    scope = f"{kind}:{group_id}:{parent_id}"
    query = select(*_SHOWN).where(resources.c.kind == kind)
    if group_id is not None:
        query = query.where(resources.c.group_id == group_id)
    if parent_id is not None:
        query = query.where(resources.c.parent_id == parent_id)
    if token is not None:
        at, last_id = decode(token, scope, int, str)
        created_at = text("'epoch'::timestamptz + :micros * interval '1 microsecond'").bindparams(micros=at)
        query = query.where(tuple_(resources.c.created_at, resources.c.id) < tuple_(created_at, last_id))
    query = query.order_by(resources.c.created_at.desc(), resources.c.id.desc()).limit(limit + 1)
    rows = [Resource(**row._mapping, internal={}) for row in conn.execute(query)]
    last = rows[limit - 1] if len(rows) > limit else None
    next_token = encode(scope, _micros(last.created_at), last.id) if last else None
    return Page(rows[:limit], next_token)


def encode(scope: str, *position: int | str) -> str:
    """A token for `position` in the list that `scope` describes (kind and filters)."""
    return base64.urlsafe_b64encode(orjson.dumps([_mark(scope), *position])).decode()


def decode(token: str, scope: str, *types: type) -> list[Any]:
    """The position in a token; raises InvalidNextToken for anything that this list did not give out."""
    try:
        mark, *position = list(orjson.loads(base64.b64decode(token.encode(), altchars=b"-_", validate=True)))
    except (binascii.Error, UnicodeEncodeError, ValueError, TypeError):
        raise _invalid(token) from None
    if mark != _mark(scope) or [type(value) for value in position] != list(types):
        raise _invalid(token)
    if not all(value.isprintable() if isinstance(value, str) else 0 <= value < 1 << 53 for value in position):
        raise _invalid(token)
    return position


def _micros(moment: datetime) -> int:
    """Microseconds since the epoch, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _mark(scope: str) -> str:
    return hashlib.sha256(scope.encode()).hexdigest()[:12]


def _invalid(token: str) -> InvalidNextToken:
    shown = token if len(token) <= 40 else token[:40] + "…"
    return InvalidNextToken(f"nextToken {shown!r} is not one that this list gave out with these filters.")
