"""The users' rows in PostgreSQL: streamed events, action interactions, records of users, what was served to them, and
their arms in experiments.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import sql
from sqlalchemy import Connection, text

from pipelines.registry import store
from pipelines.registry.database import libpq_url
from pipelines.registry.tables import SCHEMA
from pipelines.settings import Settings

# Anonymous events too, of sessions that one of the users is known to have had; their key is the session's id, and so is
# the user id under which that session was served.
_PEOPLE = """
CREATE TEMP TABLE gone_sessions ON COMMIT DROP AS
SELECT DISTINCT e.session_id AS id FROM openpersonalize.events e
JOIN gone_users u ON e.user_key = u.id AND e.user_id IS NOT NULL WHERE e.group_id = :group_id
UNION
SELECT DISTINCT e.session_id FROM openpersonalize.action_events e
JOIN gone_users u ON e.user_key = u.id AND e.user_id IS NOT NULL WHERE e.dataset_id = ANY(:datasets)
"""
_DELETIONS = {
    "events": """
        DELETE FROM openpersonalize.events WHERE group_id = :group_id AND (user_key IN (SELECT id FROM gone_users)
        OR (user_id IS NULL AND user_key IN (SELECT id FROM gone_sessions)))
        """,
    "action interactions": """
        DELETE FROM openpersonalize.action_events WHERE dataset_id = ANY(:datasets)
        AND (user_key IN (SELECT id FROM gone_users)
        OR (user_id IS NULL AND user_key IN (SELECT id FROM gone_sessions)))
        """,
    "users": """
        DELETE FROM openpersonalize.records WHERE dataset_id = ANY(:users)
        AND record_id IN (SELECT id FROM gone_users)
        """,
    # In the order in which the runtime writes them, so that neither waits for the other in a ring.
    "users of experiments": """
        DELETE FROM openpersonalize.exposures WHERE (experiment_id, user_key) IN (
            SELECT x.experiment_id, x.user_key FROM openpersonalize.exposures x
            JOIN openpersonalize.experiments e ON e.id = x.experiment_id
            JOIN openpersonalize.resources c ON c.id = e.campaign_id AND c.group_id = :group_id
            WHERE x.user_key IN (SELECT id FROM gone_users UNION SELECT id FROM gone_sessions)
            ORDER BY x.experiment_id, x.user_key FOR UPDATE OF x
        )
        """,
    "served answers": """
        DELETE FROM openpersonalize.served WHERE user_id IN (SELECT id FROM gone_users UNION SELECT id FROM gone_sessions)
        AND campaign_id NOT IN
        (SELECT id FROM openpersonalize.resources WHERE kind = 'Campaign' AND group_id <> :group_id)
        """,
}
TABLES = ("events", "action_events", "records", "exposures", "served")
RECORDS = frozenset({"events", "action interactions", "users"})
"""What counts as a record of a dataset."""


def delete(conn: Connection, group_id: str, users: Sequence[str]) -> dict[str, int]:
    """Delete in the caller's transaction; rows by what they are."""
    datasets = store.in_group(conn, group_id, "Dataset")
    given = {
        "group_id": group_id,
        "datasets": [d.id for d in datasets if d.doc["datasetType"] == "ACTION_INTERACTIONS"],
        "users": [d.id for d in datasets if d.doc["datasetType"] == "USERS"],
    }
    conn.execute(text("DROP TABLE IF EXISTS pg_temp.gone_users, pg_temp.gone_sessions"))
    conn.execute(text("CREATE TEMP TABLE gone_users (id text PRIMARY KEY) ON COMMIT DROP"))
    raw = conn.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    with raw.cursor().copy("COPY gone_users FROM STDIN") as copy:
        for user in users:
            copy.write_row((user,))
    conn.execute(text(_PEOPLE), given)
    return {what: conn.execute(text(statement), given).rowcount for what, statement in _DELETIONS.items()}


def count(conn: Connection, group_id: str, users: Sequence[str]) -> dict[str, int]:
    """How many rows `delete` would delete."""
    with conn.begin_nested() as trial:
        found = delete(conn, group_id, users)
        trial.rollback()
    return found


def sweep_out(settings: Settings, others: Sequence[str]) -> None:
    """Take the deleted rows off the disk's pages, and the ids out of the planner's statistics, which quote them.

    `others` are tables, with their schema, in which rows were changed.
    """
    with psycopg.connect(libpq_url(settings), autocommit=True, connect_timeout=10) as connection:
        for table in [*(f"{SCHEMA}.{name}" for name in TABLES), *others]:
            connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(*table.split("."))))
