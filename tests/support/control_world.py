"""What surrounds the control plane in tests/support/control_machine.py: its database, and an Airflow that is played."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, text

from pipelines.registry import store
from pipelines.settings import Settings
from tests.support.calling import Caller
from tests.support.control_model import Row

_ROWS = """
SELECT r.arn, r.kind, r.name, r.status, g.arn AS group_arn, p.arn AS parent_arn,
       (SELECT count(*) FROM openpersonalize.outbox o WHERE o.resource_id = r.id) AS wishes
FROM openpersonalize.resources r
LEFT JOIN openpersonalize.resources g ON g.id = r.group_id LEFT JOIN openpersonalize.resources p ON p.id = r.parent_id
"""


@dataclass
class World:
    """What all examples share; each begins with empty tables."""

    settings: Settings
    call: Caller
    db: Engine

    def empty(self) -> None:
        tables = ("resources", "tags", "outbox", "deployments", "workers")
        with self.db.begin() as conn:
            conn.execute(text(f"TRUNCATE {', '.join(f'openpersonalize.{table}' for table in tables)} CASCADE"))

    def rows(self) -> dict[str, tuple[Any, ...]]:
        """By ARN each resource with what it hangs on and how many runs are wished for it."""
        with self.db.connect() as conn:
            return {row.arn: tuple(row) for row in conn.execute(text(_ROWS))}

    def write(self, row: Row, **changes: Any) -> None:
        """As a task or a person does it: behind the API's back, in one transaction."""
        with self.db.begin() as conn:
            found = store.get(conn, arn=row.arn, lock=True)
            assert found is not None
            store.update(conn, found.id, **changes)

    def worker_reports(self, error: str | None) -> None:
        """The one worker of the runtime lives and says this of every campaign's deployment."""
        with self.db.begin() as conn:
            conn.execute(text("INSERT INTO openpersonalize.workers (id, pid) VALUES ('w', 1)"))
            wanted = "SELECT id, 'w', internal -> 'deployment' ->> 'id', :error FROM openpersonalize.resources"
            columns = "(campaign_id, worker_id, deployment_id, error)"
            statement = f"INSERT INTO openpersonalize.deployments {columns} {wanted} WHERE kind = 'Campaign'"
            conn.execute(text(statement), {"error": error})

    def no_worker_lives(self) -> None:
        with self.db.begin() as conn:
            conn.execute(text("DELETE FROM openpersonalize.workers"))


@dataclass
class Runs:
    """An Airflow in which every run is in one state."""

    state_of_all: str
    started: list[str] = field(default_factory=list)

    def trigger(self, dag_id: str, run_id: str, conf: dict[str, Any]) -> None:
        self.started.append(conf["resource_arn"])

    def state(self, dag_id: str, run_id: str) -> str | None:
        return self.state_of_all
