"""Alembic's entry: `pipelines.registry.database.migrate` hands the open connection over."""

from alembic import context

from pipelines.registry.tables import SCHEMA, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table_schema=SCHEMA,
)
with context.begin_transaction():
    context.run_migrations()
