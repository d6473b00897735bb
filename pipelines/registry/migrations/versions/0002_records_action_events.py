"""Streamed records of items, users and actions, and streamed action interactions."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE openpersonalize.records (
    id bigserial PRIMARY KEY,
    dataset_id text NOT NULL,
    record_id text NOT NULL,
    properties jsonb,
    received_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX records_newest ON openpersonalize.records (dataset_id, record_id, id DESC);
CREATE INDEX records_cutoff ON openpersonalize.records (dataset_id, id);

CREATE TABLE openpersonalize.action_events (
    id bigserial PRIMARY KEY,
    dataset_id text NOT NULL,
    user_key text NOT NULL,
    user_id text,
    session_id text NOT NULL,
    event_id text NOT NULL,
    event_type text NOT NULL,
    action_id text NOT NULL,
    sent_at double precision NOT NULL,
    properties jsonb,
    recommendation_id text,
    received_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT action_events_event_id UNIQUE (dataset_id, event_id)
);
CREATE INDEX action_events_cutoff ON openpersonalize.action_events (dataset_id, id);
CREATE INDEX action_events_user ON openpersonalize.action_events (dataset_id, user_key);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE openpersonalize.action_events, openpersonalize.records")
