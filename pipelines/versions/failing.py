"""End a version that could not be made."""

from __future__ import annotations

from pipelines.registry import store
from pipelines.registry.database import engine
from pipelines.registry.reasons import shortened
from pipelines.settings import Settings


def fail(settings: Settings, version_id: str, reason: str) -> None:
    """Turn an unfinished version into CREATE FAILED with a reason; one that has ended or is being stopped stays as it is."""
    database = engine(settings, pool_size=1)
    try:
        with database.begin() as conn:
            version = store.get(conn, id=version_id, lock=True)
            if version is not None and version.status in store.WORKING:
                store.update(conn, version_id, status=store.CREATE_FAILED, failure_reason=shortened(reason))
    finally:
        database.dispose()
