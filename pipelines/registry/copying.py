"""The registry's rows out of a database and into an empty one: what a backup keeps of PostgreSQL.

COPY within one snapshot rather than pg_dump, which needs a program of the server's version and locks more: it holds
every table until it ends, so the reconciler, which drops an hour of `served` now and then, would wait for it, and
behind that every answer that is written down. The tables themselves are made by our migrations, of the rows' revision.

Not copied: processes that live and what they report (`workers`, `deployments`), and hours of `served` that are over.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Connection, text

from pipelines.registry.database import SERVED_HOURS, libpq_url
from pipelines.registry.tables import SCHEMA, deployments, metadata, served, workers
from pipelines.settings import Settings

_OF_PROCESSES = {workers.name, deployments.name}
_GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True)
class Table:
    """One table's rows in the archive."""

    name: str
    columns: tuple[str, ...]
    next_id: int | None
    """What the next row is numbered, of tables whose `id` is a serial number."""


@contextmanager
def snapshot(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A connection that sees the database as it is now, whatever is committed afterwards."""
    with psycopg.connect(libpq_url(settings), connect_timeout=10) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute("SET timezone = 'UTC'")
        # The first statement that reads takes the snapshot; this session may wait for Git and disks.
        connection.execute("SET idle_in_transaction_session_timeout = 0")
        connection.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(_name("resources")))
        yield connection


def tables(connection: psycopg.Connection[Any]) -> list[Table]:
    """The tables with the columns that they have in this database, each behind those that it refers to; `served` last."""
    found = []
    for table in sorted(metadata.sorted_tables, key=lambda one: one is served):
        query = (
            "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s ORDER BY 1"
        )
        columns = tuple(name for (name,) in connection.execute(query, [SCHEMA, table.name]))
        # A database of an older revision may lack a table.
        if columns and table.name not in _OF_PROCESSES:
            found.append(Table(table.name, columns, _next_id(connection, table.name) if "id" in columns else None))
    return found


def _next_id(connection: psycopg.Connection[Any], table: str) -> int | None:
    [[sequence]] = connection.execute("SELECT pg_get_serial_sequence(%s, 'id')", [f"{SCHEMA}.{table}"]).fetchall()
    if sequence is None:
        return None
    query = f"SELECT last_value + is_called::int FROM {sequence}"
    [[number]] = connection.execute(query.encode()).fetchall()
    return int(number)


def rows(connection: psycopg.Connection[Any], table: Table, now: datetime) -> Iterator[bytes]:
    """The table's rows as gzip of PostgreSQL's text format."""
    packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
    names = _served(connection, now) if table.name == served.name else [table.name]
    for name in names:
        statement = sql.SQL("COPY {} ({}) TO STDOUT").format(_name(name), _columns(table))
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for data in copy:
                if packed := packer.compress(data):
                    yield packed
    yield packer.flush()


def _served(connection: psycopg.Connection[Any], now: datetime) -> list[str]:
    """The partitions that are looked up yet; the default one last, since who makes the next hour waits for its lock."""
    query = "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = %s::regclass"
    found = [name for (name,) in connection.execute(query, [f"{SCHEMA}.{served.name}"])]
    oldest = f"served_{now.astimezone(UTC) - timedelta(hours=SERVED_HOURS):%Y%m%d%H}"
    hours = sorted(name for name in found if name.removeprefix("served_").isdecimal() and name >= oldest)
    return [*hours, "served_default"]


# Into an empty database ---------------------------------------------------------------------------------


def holds_anything(conn: Connection) -> bool:
    """Whether the database has resources of ours."""
    there = conn.execute(text(f"SELECT to_regclass('{SCHEMA}.resources')")).scalar_one() is not None
    return there and bool(conn.execute(text(f"SELECT EXISTS (SELECT FROM {SCHEMA}.resources)")).scalar_one())


def load(conn: Connection, table: Table, packed: Iterable[bytes]) -> int:
    """Take in what `rows` gave; the number of rows. The table has none yet, and those that it refers to are there."""
    driver: Any = conn.connection.driver_connection
    unpacker = zlib.decompressobj(_GZIP)
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(_name(table.name), _columns(table))
    with driver.cursor() as cursor:
        with cursor.copy(statement) as copy:
            for data in packed:
                copy.write(unpacker.decompress(data))
            copy.write(unpacker.flush())
        taken = int(cursor.rowcount)
        if table.next_id is not None:
            cursor.execute(
                "SELECT setval(pg_get_serial_sequence(%s, 'id'), %s, false)", [f"{SCHEMA}.{table.name}", table.next_id]
            )
    return taken


def begin_unfinished_anew(conn: Connection) -> None:
    """Jobs that ran when the rows were copied get a new DAG run: the Airflow that ran them is not the one of now."""
    conn.execute(text(f"UPDATE {SCHEMA}.outbox SET started_at = NULL, attempts = 0 WHERE settled_at IS NULL"))


def _name(table: str) -> sql.Identifier:
    return sql.Identifier(SCHEMA, table)


def _columns(table: Table) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, table.columns))
