"""The first tables: resources, tags, outbox, events, served, workers, deployments.

Written out rather than made from tables.py, so that it still makes the same tables when those have moved on.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE openpersonalize.resources (
    id text PRIMARY KEY,
    kind text NOT NULL,
    arn text NOT NULL UNIQUE,
    name text NOT NULL,
    group_id text REFERENCES openpersonalize.resources (id),
    parent_id text REFERENCES openpersonalize.resources (id),
    schema_id text REFERENCES openpersonalize.resources (id),
    status text,
    failure_reason text,
    doc jsonb NOT NULL DEFAULT '{}'::jsonb,
    internal jsonb NOT NULL DEFAULT '{}'::jsonb,
    request_id text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX resources_kind_created ON openpersonalize.resources (kind, created_at DESC, id);
CREATE INDEX resources_group ON openpersonalize.resources (group_id, kind);
CREATE INDEX resources_parent ON openpersonalize.resources (parent_id, kind);
CREATE INDEX resources_schema ON openpersonalize.resources (schema_id);

CREATE TABLE openpersonalize.tags (
    resource_id text NOT NULL REFERENCES openpersonalize.resources (id) ON DELETE CASCADE,
    key text NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (resource_id, key)
);

CREATE TABLE openpersonalize.outbox (
    id bigserial PRIMARY KEY,
    resource_id text NOT NULL REFERENCES openpersonalize.resources (id) ON DELETE CASCADE,
    dag_id text NOT NULL,
    run_id text NOT NULL UNIQUE,
    conf jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    settled_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    last_error text
);
CREATE INDEX outbox_open ON openpersonalize.outbox (id) WHERE settled_at IS NULL;

CREATE TABLE openpersonalize.events (
    id bigserial PRIMARY KEY,
    group_id text NOT NULL,
    user_key text NOT NULL,
    user_id text,
    session_id text NOT NULL,
    event_id text NOT NULL,
    event_type text NOT NULL,
    event_value double precision,
    item_id text,
    sent_at double precision NOT NULL,
    properties jsonb,
    recommendation_id text,
    impression text[],
    attribution_source text,
    received_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT events_event_id UNIQUE (group_id, event_id)
);
CREATE INDEX events_history ON openpersonalize.events (group_id, user_key, sent_at DESC, id DESC)
    INCLUDE (item_id, event_type);
CREATE INDEX events_cutoff ON openpersonalize.events (group_id, id);

CREATE TABLE openpersonalize.served (
    served_at timestamptz NOT NULL,
    recommendation_id text NOT NULL,
    campaign_id text NOT NULL,
    solution_version_id text NOT NULL,
    user_id text,
    items text[] NOT NULL,
    request_id text,
    PRIMARY KEY (served_at, recommendation_id)
) PARTITION BY RANGE (served_at);
-- Takes what no hour takes, so that no insert ever fails for want of a partition.
CREATE TABLE openpersonalize.served_default PARTITION OF openpersonalize.served DEFAULT;

CREATE TABLE openpersonalize.workers (
    id text PRIMARY KEY,
    pid integer NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    heartbeat_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE openpersonalize.deployments (
    campaign_id text NOT NULL REFERENCES openpersonalize.resources (id) ON DELETE CASCADE,
    worker_id text NOT NULL REFERENCES openpersonalize.workers (id) ON DELETE CASCADE,
    deployment_id text NOT NULL,
    error text,
    reported_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (campaign_id, worker_id)
);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute(
        "DROP TABLE openpersonalize.deployments, openpersonalize.workers, openpersonalize.served, "
        "openpersonalize.events, openpersonalize.outbox, openpersonalize.tags, openpersonalize.resources"
    )
