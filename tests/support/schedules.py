"""Solutions whose life is driven by a test's clock: data comes, versions are made and end, without Airflow."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.settings import Settings
from pipelines.versions import claim, fail
from tests.support.registry import add_solution


def add_automatic(conn: Connection, group: Resource, name: str, created: datetime, rate: int | None = None) -> Resource:
    """A solution with automatic training, every `rate` days if given."""
    config = {"autoTrainingConfig": {"schedulingExpression": f"rate({rate} days)"}} if rate else {}
    solution = add_solution(conn, group, name, performAutoTraining=True, solutionConfig=config)
    return at(conn, solution, created)


def at(conn: Connection, resource: Resource, created: datetime) -> Resource:
    """As if the resource had been created then."""
    statement = text("UPDATE openpersonalize.resources SET created_at = :created WHERE id = :id")
    conn.execute(statement, {"created": created, "id": resource.id})
    found = store.get(conn, id=resource.id)
    assert found is not None
    return found


def stream(conn: Connection, group: Resource, event_id: str, item: str | None = "i1", count: int = 1) -> None:
    """Events of the group."""
    conn.execute(
        text(
            "INSERT INTO openpersonalize.events (group_id, user_key, session_id, event_id, event_type, item_id, sent_at) "
            "SELECT :group, 'u1', 's1', :event || '.' || n, 'watch', :item, 1 FROM generate_series(1, :count) n"
        ),
        {"group": group.id, "event": event_id, "item": item, "count": count},
    )


def train(settings: Settings, conn: Connection, version_id: str, *, fails: bool = False) -> None:
    """What DAG `solution_version` does of it that schedules see: the inputs are frozen, and it ends."""
    claim(settings, version_id)
    end(settings, conn, version_id, fails=fails)


def end(settings: Settings, conn: Connection, version_id: str, *, fails: bool = False) -> None:
    """A claimed version turns ACTIVE, or CREATE FAILED."""
    if fails:
        fail(settings, version_id, "The disk was full.")
    else:
        with conn.begin():
            store.update(conn, version_id, status=store.ACTIVE)


def versions(conn: Connection, solution: Resource) -> list[Resource]:
    """Oldest first."""
    with conn.begin():
        return store.children(conn, solution.id, "SolutionVersion")


def internal(conn: Connection, id: str, **values: Any) -> None:
    """Change what the registry keeps of a resource."""
    with conn.begin():
        store.update(conn, id, internal=values)
