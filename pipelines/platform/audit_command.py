"""`openpersonalize audit`: who changed what, a line of JSON a call; and how commands get into it themselves."""

from __future__ import annotations

import os
import pwd
import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import orjson
from sqlalchemy import Connection, func, select

from pipelines.registry import audit
from pipelines.registry.database import transaction
from pipelines.settings import Settings

_AGO = re.compile(r"([0-9]{1,5})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class BadTime(ValueError):
    """A time that is not one; the message says how to write it."""


def lines(settings: Settings, since: datetime, key: str | None) -> Iterator[str]:
    """The entries from `since` on, oldest first, of all or of the key with that id or name."""
    with transaction(settings) as conn:
        for entry in audit.since(conn, since, key):
            yield orjson.dumps(entry, option=orjson.OPT_UTC_Z).decode()


def moment(text: str, now: datetime) -> datetime:
    """`90m`, `24h`, `7d`, or a date or time of ISO 8601, UTC unless it says otherwise; raises BadTime."""
    ago = _AGO.fullmatch(text)
    if ago:
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadTime(f"{text!r} is no time: give 90m, 24h, 7d or 2026-01-31T23:59") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def note(conn: Connection, command: str, resource: str) -> None:
    """Record a command of `openpersonalize`, in its transaction: who ran it is an account of the machine, not a key."""
    now = conn.execute(select(func.now())).scalar_one()
    who = f"{_account()}@{socket.gethostname()}"
    audit.write(conn, audit.Entry(now, f"openpersonalize {command}", who, resource=resource))


def _account() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container may run under any number
        return f"uid {os.geteuid()}"
