"""Who may write a dataset's snapshot anew: one at a time, and nobody while the dataset is deleted.

A lock of a database session, so whoever dies holds nothing. Imports do not take it: they add to what they find.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, func, select

from pipelines.registry.database import engine
from pipelines.settings import Settings


@contextmanager
def alone(settings: Settings, dataset_id: str, *, wait: bool = False) -> Iterator[bool]:
    """Hold the right to rewrite a dataset's snapshot; False when another has it and `wait` is not set."""
    database = engine(settings, pool_size=1)
    take = func.pg_advisory_lock if wait else func.pg_try_advisory_lock
    try:
        # Minutes may pass: no transaction may stay open for so long.
        with database.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            taken = conn.execute(select(take(_key(dataset_id)))).scalar_one()
            yield wait or bool(taken)
    finally:
        database.dispose()


def is_rewritten(conn: Connection, dataset_id: str) -> bool:
    """Whether somebody rewrites the dataset's snapshot; if not, nobody begins to before the transaction ends."""
    return not conn.execute(select(func.pg_try_advisory_xact_lock(_key(dataset_id)))).scalar_one()


def _key(dataset_id: str) -> Any:
    return func.hashtextextended(f"openpersonalize:rewriting:{dataset_id}", 0)
