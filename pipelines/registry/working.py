"""Resources that a DAG run works on: each ends once, whoever comes first."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.reasons import shortened
from pipelines.registry.store import Resource
from pipelines.settings import Settings

log = logging.getLogger(__name__)


@contextmanager
def working(settings: Settings, id: str) -> Iterator[tuple[Connection, Resource | None]]:
    """A transaction that holds the resource; None when it has ended, is being stopped, or is gone."""
    with transaction(settings) as conn:
        found = store.get(conn, id=id, lock=True)
        yield conn, found if found is not None and found.status in store.WORKING else None


def set_failed(settings: Settings, id: str, reason: str) -> bool:
    """CREATE FAILED (FAILED of a data deletion job) with a reason; False when it has ended, is being stopped, or is gone."""
    with working(settings, id) as (conn, found):
        if found is not None:
            store.update(conn, id, status=store.failed_status(found.kind), failure_reason=shortened(reason))
            log.error("%s failed: %s", found.arn, reason)
    return found is not None
