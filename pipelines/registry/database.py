"""The way to PostgreSQL: engine, schema migrations, hourly partitions of `served`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import make_url

from pipelines.registry.tables import SCHEMA
from pipelines.settings import Settings

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
NOTIFY_CHANNEL = "openpersonalize_outbox"
# Unlike AWS, data: a recommendationId refers to its list for 24 hours. AWS does not say how long; impressions and
# traces need a day.
SERVED_HOURS = 24
"""How long what was answered stays resolvable by its recommendationId."""

# Any number, the same in every process: who migrates holds it.
_MIGRATION_LOCK = 5_318_008_018


def engine(settings: Settings, *, pool_size: int = 4) -> Engine:
    """A pooled engine; it connects on first use and replaces connections that a server restart has cut."""
    return create_engine(
        _url(settings, "postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        pool_timeout=10,
        # An error goes to the log, and what is written may name users.
        hide_parameters=True,
        json_deserializer=orjson.loads,
        connect_args={"connect_timeout": 5, "options": "-c timezone=UTC -c search_path=public"},
    )


@contextmanager
def transaction(settings: Settings) -> Iterator[Connection]:
    """One transaction on a connection of its own, for tasks that need the database now and then."""
    database = engine(settings, pool_size=1)
    try:
        with database.begin() as conn:
            yield conn
    finally:
        database.dispose()


def libpq_url(settings: Settings) -> str:
    """The database's URL for psycopg itself, psql and other libpq clients."""
    return _url(settings, "postgresql")


class SchemaTooNew(RuntimeError):
    """The database was brought to a revision that this code does not know: a newer version did that."""


@dataclass(frozen=True)
class Migrated:
    """What `migrate` did, in revisions."""

    before: str | None
    """None: there was nothing."""
    after: str


def migrate(settings: Settings) -> Migrated:
    """Create our schema or bring it to the newest revision, all of it or nothing; raises SchemaTooNew.

    Harmless to repeat, also from two processes at once.
    """
    with transaction(settings) as conn:
        return migrate_to(conn, known_revisions()[0])


def migrate_to(conn: Connection, wanted: str) -> Migrated:
    """The same within the caller's transaction, to one of `known_revisions` that the schema has not passed."""
    from alembic import command

    config = _alembic()
    conn.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
    conn.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    _keep_others_out_of_our_schema(conn)
    before, known = revision(conn), known_revisions()
    if before is not None and before not in known:
        raise SchemaTooNew(
            f"the database has revision {before} of schema {SCHEMA}, this version of OpenPersonalize knows those up "
            f"to {known[0]}: a newer version has upgraded it, so install that one again; nothing was changed"
        )
    config.attributes["connection"] = conn
    command.upgrade(config, wanted)
    return Migrated(before, wanted)


def revision(conn: Connection) -> str | None:
    """The revision that our schema has, None of a database without it."""
    if conn.execute(text(f"SELECT to_regclass('{SCHEMA}.alembic_version')")).scalar_one() is None:
        return None
    return conn.execute(text(f"SELECT version_num FROM {SCHEMA}.alembic_version")).scalar_one_or_none()


def known_revisions() -> list[str]:
    """The revisions that this code can bring a database to, newest first."""
    from alembic.script import ScriptDirectory

    return [script.revision for script in ScriptDirectory.from_config(_alembic()).walk_revisions()]


def _alembic() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def ensure_served_partitions(conn: Connection, now: datetime, hours_ahead: int = 2) -> list[str]:
    """Make the partitions of `served` for this hour and the next ones; the names of those that were missing.

    Rows that came while an hour had no partition lie in the default partition and are moved. Called by the
    reconciler in a transaction of its own; inserts wait for it for milliseconds.
    """
    there = set(_served_partitions(conn))
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    wanted = {
        f"served_{start:%Y%m%d%H}": start for start in (hour + timedelta(hours=n) for n in range(hours_ahead + 1))
    }
    missing = [name for name in wanted if name not in there]
    for name in missing:
        _create_served_partition(conn, name, wanted[name])
    return missing


def drop_served_partitions(conn: Connection, now: datetime) -> list[str]:
    """Drop the hours that ended more than SERVED_HOURS ago; their names."""
    oldest = f"served_{now.astimezone(UTC) - timedelta(hours=SERVED_HOURS + 1):%Y%m%d%H}"
    old = [name for name in _served_partitions(conn) if name[len("served_") :].isdecimal() and name <= oldest]
    for name in old:
        conn.execute(text(f"DROP TABLE {SCHEMA}.{name}"))
    conn.execute(
        text(f"DELETE FROM {SCHEMA}.served_default WHERE served_at < :limit"),
        {"limit": now - timedelta(hours=SERVED_HOURS + 1)},
    )
    return old


def _keep_others_out_of_our_schema(conn: Connection) -> None:
    """PostgreSQL looks first into the schema that is named like the user, which would be ours for user openpersonalize:
    Airflow, which names no schema, would put its tables there and take our alembic_version for its own.
    """
    user, database = conn.execute(text("SELECT current_user, current_database()")).one()
    if user == SCHEMA:
        quoted = database.replace('"', '""')
        conn.execute(text(f'ALTER ROLE CURRENT_USER IN DATABASE "{quoted}" SET search_path = public'))


def _served_partitions(conn: Connection) -> list[str]:
    query = "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = CAST(:parent AS regclass)"
    return list(conn.execute(text(query), {"parent": f"{SCHEMA}.served"}).scalars())


def _create_served_partition(conn: Connection, name: str, start: datetime) -> None:
    bounds = {"low": start, "high": start + timedelta(hours=1)}
    conn.execute(text(f"CREATE TABLE {SCHEMA}.{name} (LIKE {SCHEMA}.served INCLUDING ALL)"))
    # The lock comes before the move, or a row could arrive in between and the partition would be refused.
    conn.execute(text(f"LOCK TABLE {SCHEMA}.served_default IN ACCESS EXCLUSIVE MODE"))
    conn.execute(
        text(
            f"WITH moved AS (DELETE FROM {SCHEMA}.served_default WHERE served_at >= :low AND served_at < :high "
            f"RETURNING *) INSERT INTO {SCHEMA}.{name} SELECT * FROM moved"
        ),
        bounds,
    )
    conn.execute(
        text(
            f"ALTER TABLE {SCHEMA}.served ATTACH PARTITION {SCHEMA}.{name} "
            f"FOR VALUES FROM ('{bounds['low'].isoformat()}') TO ('{bounds['high'].isoformat()}')"
        )
    )


def _url(settings: Settings, driver: str) -> str:
    return make_url(settings.database_url).set(drivername=driver).render_as_string(hide_password=False)
