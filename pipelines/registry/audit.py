"""Who changed what: a row for every call that changes something, also for those that were refused.

A table rather than a file: with a company's own Airflow several processes on several machines write, and a row that is
written in the transaction of the change is there exactly when the change is. What a crash can lose is the row of a
refused call, which changed nothing, and of the runtime's calls (PutEvents and its like, counted by minute, key and outcome
in bento/access.py) the last minute: those come by the thousand a second.

Never a body, never a secret. Calls whose signature does not hold are nobody's and only in the access log, or anybody could
fill the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from pipelines.registry.tables import audit

OK = "ok"
# Unlike AWS, access: who changed what is in a table for a year (`openpersonalize audit`). There is no CloudTrail here.
KEPT = timedelta(days=365)


@dataclass(frozen=True)
class Entry:
    """A row of `audit`; see pipelines/registry/tables.py for what each column means."""

    at: datetime
    operation: str
    key_name: str
    key_id: str | None = None
    role: str | None = None
    resource: str | None = None
    outcome: str = OK
    request_id: str | None = None
    source: str | None = None
    calls: int = 1


def write(conn: Connection, entry: Entry) -> None:
    """Add a row in the caller's transaction."""
    conn.execute(insert(audit), vars(entry))


def since(conn: Connection, at: datetime, key: str | None = None) -> Iterator[dict[str, Any]]:
    """The rows from `at` on, oldest first, of all or of the key with that id or name."""
    query = select(audit).where(audit.c.at >= at).order_by(audit.c.at, audit.c.id)
    if key is not None:
        query = query.where((audit.c.key_id == key) | (audit.c.key_name == key))
    for row in conn.execution_options(yield_per=1000).execute(query):
        yield {str(name): value for name, value in row._mapping.items() if name != "id"}


def prune(conn: Connection, now: datetime) -> None:
    """Forget what is older than KEPT."""
    conn.execute(delete(audit).where(audit.c.at < now - KEPT))
