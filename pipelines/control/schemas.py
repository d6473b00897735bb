"""Schemas: checked once, immutable, shared by the whole account."""

from __future__ import annotations

from pipelines.control import avro, lookup, views
from pipelines.control.context import Context, Given
from pipelines.control.creation import create, members
from pipelines.registry import store

describe = views.describing("Schema")
list_all = views.listing("Schema", "schemas")


def create_schema(context: Context, given: Given) -> Given:
    """Raises InvalidInput naming the field and the rule."""
    avro.check(given["schema"], given.get("domain"))
    made = create(context, "Schema", given, status=None, doc=members(given, "schema", "domain"))
    return {"schemaArn": made.arn}


def delete_schema(context: Context, given: Given) -> Given:
    """Gone at once, unless a dataset refers to it that is not being deleted itself."""
    schema = lookup.lock(context, "Schema", given["schemaArn"])
    views.refuse_if_blocked(schema, store.uses_of_schema(context.conn, schema.id))
    store.release_schema(context.conn, schema.id)
    store.delete(context.conn, schema.id)
    return {}
