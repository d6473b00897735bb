"""The tags of resources; they go with their resource."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.postgresql import insert

from pipelines.registry.tables import tags


def tags_of(conn: Connection, id: str) -> dict[str, str]:
    """The resource's tags, by key in its order."""
    query = select(tags.c.key, tags.c.value).where(tags.c.resource_id == id).order_by(tags.c.key)
    return {row.key: row.value for row in conn.execute(query)}


def put_tags(conn: Connection, id: str, given: Mapping[str, str]) -> None:
    """Add tags, at least one; a key that is there gets the new value."""
    rows = [{"resource_id": id, "key": key, "value": value} for key, value in given.items()]
    statement = insert(tags).values(rows)
    conn.execute(
        statement.on_conflict_do_update(
            index_elements=[tags.c.resource_id, tags.c.key], set_={"value": statement.excluded.value}
        )
    )


def remove_tags(conn: Connection, id: str, keys: Collection[str]) -> None:
    """Take off the tags of those keys; a key that is not there is none to take off."""
    conn.execute(delete(tags).where(tags.c.resource_id == id, tags.c.key.in_(keys)))
