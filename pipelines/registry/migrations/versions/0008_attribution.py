"""Whose answer an event names, and what imports bring to metric attributions.

Events of before count in no attribution, so they need no look-up: the column is born with an empty default, which costs
no rewriting, and only those that still wait for their list are looked at.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

CHANGES = """
ALTER TABLE openpersonalize.events ADD COLUMN served_by text DEFAULT '';
ALTER TABLE openpersonalize.events ALTER COLUMN served_by DROP DEFAULT;
UPDATE openpersonalize.events SET served_by = NULL
    WHERE recommendation_id IS NOT NULL AND impression IS NULL AND implicit_impression IS NULL;
DROP INDEX openpersonalize.events_unresolved;
CREATE INDEX events_unresolved ON openpersonalize.events (id)
    WHERE recommendation_id IS NOT NULL AND served_by IS NULL;

CREATE TABLE openpersonalize.attribution_sums (
    attribution_id text NOT NULL REFERENCES openpersonalize.resources (id) ON DELETE CASCADE,
    import_job_id text NOT NULL REFERENCES openpersonalize.resources (id) ON DELETE CASCADE,
    metric text NOT NULL,
    source text NOT NULL,
    window_start bigint NOT NULL,
    value double precision NOT NULL,
    events bigint NOT NULL,
    PRIMARY KEY (attribution_id, import_job_id, metric, source, window_start)
);
"""


def upgrade() -> None:
    op.execute(CHANGES)


def downgrade() -> None:
    op.execute(
        "DROP TABLE openpersonalize.attribution_sums; "
        "DROP INDEX openpersonalize.events_unresolved; "
        "ALTER TABLE openpersonalize.events DROP COLUMN served_by; "
        "CREATE INDEX events_unresolved ON openpersonalize.events (id) "
        "WHERE recommendation_id IS NOT NULL AND impression IS NULL AND implicit_impression IS NULL"
    )
