"""A/B experiments of campaigns, and which users have been answered by which arm."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE openpersonalize.experiments (
    id text PRIMARY KEY,
    campaign_id text NOT NULL REFERENCES openpersonalize.resources (id) ON DELETE CASCADE,
    control_arn text NOT NULL,
    challenger_arn text NOT NULL,
    share smallint NOT NULL CHECK (share BETWEEN 1 AND 99),
    event_cutoff bigint NOT NULL,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    ended_at timestamptz,
    outcome text CHECK (outcome IN ('stopped', 'promoted', 'failed')),
    failure_reason text
);
CREATE UNIQUE INDEX experiments_open ON openpersonalize.experiments (campaign_id) WHERE ended_at IS NULL;

CREATE TABLE openpersonalize.exposures (
    experiment_id text NOT NULL REFERENCES openpersonalize.experiments (id) ON DELETE CASCADE,
    user_key text NOT NULL,
    arm text NOT NULL CHECK (arm IN ('A', 'B')),
    first_at timestamptz NOT NULL,
    answers bigint NOT NULL,
    PRIMARY KEY (experiment_id, user_key)
);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE openpersonalize.exposures, openpersonalize.experiments")
