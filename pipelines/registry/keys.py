"""The access keys of the registry: rows without secrets (pipelines/aws/access.py says why)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Row, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from pipelines.registry.tables import access_keys

USED_EVERY = timedelta(minutes=1)
"""How exactly it is known when a key was last used: a request must not cost a write."""


@dataclass(frozen=True)
class StoredKey:
    """A row of `access_keys`."""

    id: str
    name: str
    role: str
    created_at: datetime
    last_used_at: datetime | None


def find(conn: Connection, id: str) -> StoredKey | None:
    """The key of that id, None when there is none or it was revoked."""
    row = conn.execute(select(access_keys).where(access_keys.c.id == id)).one_or_none()
    return _key(row) if row is not None else None


def every(conn: Connection) -> list[StoredKey]:
    """All keys, oldest first."""
    return [_key(row) for row in conn.execute(select(access_keys).order_by(access_keys.c.created_at, access_keys.c.id))]


def add(conn: Connection, id: str, name: str, role: str) -> bool:
    """Write a key; False when the name is taken."""
    values = {"id": id, "name": name, "role": role}
    statement = insert(access_keys).values(values).on_conflict_do_nothing(index_elements=[access_keys.c.name])
    return conn.execute(statement.returning(access_keys.c.id)).one_or_none() is not None


def revoke(conn: Connection, id: str) -> StoredKey | None:
    """Remove the key for good; what it was, None when there is none."""
    row = conn.execute(delete(access_keys).where(access_keys.c.id == id).returning(access_keys)).one_or_none()
    return _key(row) if row is not None else None


def used(conn: Connection, ids: Sequence[str], now: datetime) -> None:
    """Note that keys were used."""
    conn.execute(update(access_keys).where(access_keys.c.id.in_(ids)).values(last_used_at=now))


def _key(row: Row[tuple[str, str, str, datetime, datetime | None]]) -> StoredKey:
    return StoredKey(**row._mapping)
