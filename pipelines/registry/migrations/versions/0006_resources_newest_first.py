"""Resources newest first within kind, group or parent: the lists' order, so that a page reads only what it shows.

Before, the page of one solution's versions sorted all of them.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NEWEST_FIRST = "kind, created_at DESC, id DESC"


def upgrade() -> None:
    _make(NEWEST_FIRST, f"group_id, {NEWEST_FIRST}", f"parent_id, {NEWEST_FIRST}")


def downgrade() -> None:
    _make("kind, created_at DESC, id", "group_id, kind", "parent_id, kind")


def _make(by_kind: str, by_group: str, by_parent: str) -> None:
    for name, columns in (("kind_created", by_kind), ("group", by_group), ("parent", by_parent)):
        op.execute(f"DROP INDEX openpersonalize.resources_{name}")
        op.execute(f"CREATE INDEX resources_{name} ON openpersonalize.resources ({columns})")
