"""Access keys beside those of the environment, and what was changed with which key."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE openpersonalize.access_keys (
    id text PRIMARY KEY,
    name text NOT NULL CONSTRAINT access_keys_name UNIQUE,
    role text NOT NULL CHECK (role IN ('admin', 'operator', 'runtime-only', 'read-only')),
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz
);

CREATE TABLE openpersonalize.audit (
    id bigserial PRIMARY KEY,
    at timestamptz NOT NULL,
    request_id text,
    key_id text,
    key_name text NOT NULL,
    role text,
    operation text NOT NULL,
    resource text,
    outcome text NOT NULL,
    source text,
    calls integer NOT NULL DEFAULT 1
);
CREATE INDEX audit_at ON openpersonalize.audit (at);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE openpersonalize.audit, openpersonalize.access_keys")
