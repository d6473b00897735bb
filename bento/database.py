"""The runtime's way to PostgreSQL: a few connections per worker that come back by themselves.

A request must not fail because the server was restarted between two requests or is busy, and must not wait for one
that is gone. So a statement whose connection turns out to be cut is tried again on another (every statement here is
harmless to repeat), as is one of two that wrote the same events in another order and waited for each other. It waits
longer while others are being answered, and then the caller gets ServiceUnavailable, which AWS's clients retry.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from time import monotonic
from typing import Any

from psycopg import AsyncConnection, AsyncCursor, OperationalError, errors
from psycopg_pool import AsyncConnectionPool

from pipelines.aws.errors import ServiceUnavailable

PATIENCE = 2.0
"""Seconds that one statement may take in all, waiting for a connection included."""
BUSY_PATIENCE = 5.0
"""The same, while the database answers others: hundreds of requests share a few connections."""
CONNECTIONS = 6

Row = tuple[Any, ...]
Parameters = Mapping[str, Any]

# Before the first migration, and while the store is emptied.
_NOT_THERE = (errors.UndefinedTable, errors.InvalidSchemaName)

_CONFIGURE = """
SELECT set_config('statement_timeout', %(timeout)s, false),
       set_config('synchronous_commit',
                  CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN 'on'
                       ELSE current_setting('synchronous_commit') END, false)
"""


class _Connection(AsyncConnection[Row]):
    @cached_property
    def statements(self) -> AsyncCursor[Row]:
        """One cursor for all: a new one finds every type's adapter again, a quarter of what a statement costs here."""
        return self.cursor()


class Database:
    """Statements of one worker; each is a transaction of its own."""

    def __init__(self, url: str, connections: int = CONNECTIONS) -> None:
        self._pool: AsyncConnectionPool[_Connection] = AsyncConnectionPool(
            re.sub(r"^postgresql\+\w+://", "postgresql://", url),
            connection_class=_Connection,
            kwargs={
                "autocommit": True,
                "connect_timeout": 2,
                "tcp_user_timeout": 5000,
                "application_name": "openpersonalize-runtime",
            },
            configure=_configure,
            min_size=2,
            max_size=connections,
            # Give up soon, so that the next statement tries afresh instead of waiting for the pool's back-off.
            reconnect_timeout=0.5,
            open=False,
            name="runtime",
        )

        self._answered_at = 0.0

    async def open(self) -> None:
        """Start connecting; returns at once whether the server is there or not."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        await self._pool.close(timeout=2)

    async def rows(self, statement: str, parameters: Parameters | None = None) -> list[Row]:
        """Run a statement that answers rows, committed when this returns; raises ServiceUnavailable."""
        now = monotonic()
        deadline = now + (BUSY_PATIENCE if now - self._answered_at < 1.0 else PATIENCE)
        while True:
            connection = None
            try:
                connection = await self._pool.getconn(timeout=max(deadline - monotonic(), 0.01))
                try:
                    # No `with`: there is no transaction to end, and asking costs as much as the statement.
                    await connection.statements.execute(statement, parameters)
                    rows = await connection.statements.fetchall()
                finally:
                    await self._pool.putconn(connection)
                self._answered_at = monotonic()
                return rows
            except OperationalError as failure:
                again = (connection is not None and connection.closed) or isinstance(failure, errors.DeadlockDetected)
                if not again or monotonic() >= deadline:
                    raise _unavailable(failure) from failure
            except _NOT_THERE as failure:
                raise _unavailable(failure) from failure


async def _configure(connection: _Connection) -> None:
    # An event is on disk before PutEvents answers, whatever the database's default is.
    await connection.execute(_CONFIGURE, {"timeout": f"{int(PATIENCE * 1000)}ms"})


def _unavailable(failure: Exception) -> ServiceUnavailable:
    return ServiceUnavailable(f"The database does not answer just now, try again: {type(failure).__name__}.")
