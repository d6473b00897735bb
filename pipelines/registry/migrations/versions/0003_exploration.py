"""What was explored, and the lists that events refer to.

The key of `served` begins with the id: events name a list by it alone, and a look-up must not read a day of lists.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

CHANGES = """
ALTER TABLE openpersonalize.served
    ADD COLUMN exploration_weight double precision,
    ADD COLUMN propensities real[],
    ADD COLUMN shown_at smallint[];
ALTER TABLE openpersonalize.served
    DROP CONSTRAINT served_pkey,
    ADD PRIMARY KEY (recommendation_id, served_at);

ALTER TABLE openpersonalize.events ADD COLUMN implicit_impression text[];
CREATE INDEX events_unresolved ON openpersonalize.events (id)
    WHERE recommendation_id IS NOT NULL AND impression IS NULL AND implicit_impression IS NULL;
"""


def upgrade() -> None:
    op.execute(CHANGES)


def downgrade() -> None:
    op.execute(
        "DROP INDEX openpersonalize.events_unresolved; "
        "ALTER TABLE openpersonalize.events DROP COLUMN implicit_impression; "
        "ALTER TABLE openpersonalize.served DROP CONSTRAINT served_pkey, ADD PRIMARY KEY (served_at, recommendation_id), "
        "DROP COLUMN shown_at, DROP COLUMN propensities, DROP COLUMN exploration_weight"
    )
