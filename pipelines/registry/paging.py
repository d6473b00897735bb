"""Page tokens: where a list goes on, opaque to clients, valid only for the list that gave them out."""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from pipelines.aws.errors import InvalidNextToken

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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


def micros(moment: datetime) -> int:
    """Microseconds since the epoch, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _mark(scope: str) -> str:
    return hashlib.sha256(scope.encode()).hexdigest()[:12]


def _invalid(token: str) -> InvalidNextToken:
    shown = token if len(token) <= 40 else token[:40] + "…"
    return InvalidNextToken(f"nextToken {shown!r} is not one that this list gave out with these filters.")
