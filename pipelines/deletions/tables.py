"""Ids in rows that are not about users: failure reasons, documents, Airflow's own tables. Text and JSON are searched
cell by cell and overwritten where they name one; nothing of the rest of a row changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from pipelines.deletions.matching import Matcher
from pipelines.registry.database import libpq_url
from pipelines.registry.tables import SCHEMA
from pipelines.settings import Settings

# Where people's data lies by rows, and is deleted by rows (pipelines/deletions/rows.py).
_OF_USERS = ("events", "action_events", "records", "exposures", "served")
_COLUMNS = """
SELECT n.nspname, c.relname, array_agg(a.attname ORDER BY a.attnum), array_agg(format_type(a.atttypid, NULL) ORDER BY a.attnum)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('public', %(schema)s) AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
  AND format_type(a.atttypid, NULL) IN ('text', 'character varying', 'json', 'jsonb')
  AND NOT (n.nspname = %(schema)s AND (c.relname = ANY(%(of_users)s) OR c.relname LIKE 'served%%'))
GROUP BY 1, 2 ORDER BY 1, 2
"""
# Of our own tables only what is said about the work: names and ARNs are what resources are found by.
_SAID = {"resources": {"failure_reason", "doc", "internal"}, "outbox": {"last_error", "conf"}}
BATCH = 1000


@dataclass(frozen=True)
class Table:
    """A table's text and JSON columns, by their type."""

    schema: str
    name: str
    columns: dict[str, str]

    @property
    def cells(self) -> sql.Composed:
        return sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in self.columns)

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)


def black_out(settings: Settings, group_id: str, matcher: Matcher) -> dict[str, int]:
    """Overwrite every id in our own rows about the group and in all of Airflow's; how many rows, by table."""
    found: dict[str, int] = {}
    with psycopg.connect(libpq_url(settings), connect_timeout=10) as connection:
        for table in _tables(connection):
            rows = list(_rows_with_ids(connection, table, group_id, matcher))
            for place, cells, black in rows:
                _overwrite(connection, table, place, cells, black)
            connection.commit()
            found[f"{table.schema}.{table.name}"] = len(rows)
    return found


def search(settings: Settings, group_id: str, matcher: Matcher) -> dict[str, int]:
    """How many rows still name one, by table; changes nothing."""
    with psycopg.connect(libpq_url(settings), connect_timeout=10) as connection:
        return {
            f"{table.schema}.{table.name}": sum(1 for _ in _rows_with_ids(connection, table, group_id, matcher))
            for table in _tables(connection)
        }


def _tables(connection: psycopg.Connection) -> Iterator[Table]:
    rows = connection.execute(_COLUMNS, {"schema": SCHEMA, "of_users": list(_OF_USERS)}).fetchall()
    for schema, name, columns, kinds in rows:
        said = _SAID.get(name, set()) if schema == SCHEMA else set(columns)
        kept = {column: kind for column, kind in zip(columns, kinds, strict=True) if column in said}
        if kept:
            yield Table(schema, name, kept)


Found = tuple[str, dict[str, str], dict[str, str]]
"""ctid, the cells with an id, and what they are to be."""


def _rows_with_ids(connection: psycopg.Connection, table: Table, group_id: str, matcher: Matcher) -> Iterator[Found]:
    query = sql.SQL("SELECT ctid::text, {} FROM {}").format(table.cells, table.identifier)
    if (table.schema, table.name) == (SCHEMA, "resources"):
        # What another group says of the same id is that group's.
        query += sql.SQL(" WHERE {} IN (id, coalesce(group_id, ''))").format(sql.Literal(group_id))
    with connection.cursor(name="rows_with_ids") as cursor:
        cursor.execute(query)
        while rows := cursor.fetchmany(BATCH):
            # One search for many rows: a zero byte lies between cells, which text in PostgreSQL cannot hold.
            if matcher.find(b"\0".join(cell.encode() for row in rows for cell in row[1:] if cell)):
                yield from (found for row in rows if (found := _changes(table, row, matcher))[2])


def _changes(table: Table, row: tuple[Any, ...], matcher: Matcher) -> Found:
    cells = dict(zip(table.columns, row[1:], strict=True))
    black: dict[str, str] = {}
    for name, cell in cells.items():
        if cell:
            changed = _black_json(cell, matcher) if table.columns[name].startswith("json") else _black(cell, matcher)
            black |= {name: changed} if changed is not None else {}
    return row[0], {name: cells[name] for name in black}, black


def _black(cell: str, matcher: Matcher) -> str | None:
    black, count = matcher.black_out(cell.encode())
    return black.decode(errors="replace") if count else None


def _black_json(cell: str, matcher: Matcher) -> str | None:
    """Strings only: a number that looks like an id is a number."""
    document = json.loads(cell)
    black = _black_strings(document, matcher)
    return json.dumps(black) if black != document else None


def _black_strings(value: Any, matcher: Matcher) -> Any:
    if isinstance(value, dict):
        return {_black_strings(key, matcher): _black_strings(one, matcher) for key, one in value.items()}
    if isinstance(value, list):
        return [_black_strings(one, matcher) for one in value]
    return (_black(value, matcher) or value) if isinstance(value, str) else value


def _overwrite(
    connection: psycopg.Connection, table: Table, place: str, cells: dict[str, str], black: dict[str, str]
) -> None:
    """Unless somebody has changed the row meanwhile; then the search afterwards finds it."""
    changes = sql.SQL(", ").join(
        sql.SQL("{} = {}::{}").format(sql.Identifier(name), sql.Literal(text), sql.SQL(table.columns[name]))
        for name, text in black.items()
    )
    same = sql.SQL(" AND ").join(
        sql.SQL("{}::text = {}").format(sql.Identifier(name), sql.Literal(cell)) for name, cell in cells.items()
    )
    query = sql.SQL("UPDATE {} SET {} WHERE ctid = {}::tid AND {}")
    connection.execute(query.format(table.identifier, changes, sql.Literal(place), same))
