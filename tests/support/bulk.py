"""A dataset with real snapshots in a real repository, without import jobs and Airflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from pipelines.datasets.snapshot import Snapshot
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.repository.group import GroupRepository
from pipelines.settings import Settings
from tests.support.imports import run
from tests.support.registry import add_dataset, add_group


class Bulk:
    """One dataset of a group, which is made if it is not given, and what a few imports brought into it."""

    def __init__(
        self,
        conn: Connection,
        settings: Settings,
        folder: Path,
        kind: Any = "INTERACTIONS",
        group: Resource | None = None,
    ) -> None:
        self.conn, self.settings, self.folder, self.kind = conn, settings, folder, kind
        with conn.begin():
            self.group = group or add_group(conn)
            self.id = add_dataset(conn, self.group, kind).id
        self.imports = 0
        self.previous: Snapshot | None = None

    @property
    def dataset(self) -> Resource:
        with self.conn.begin():
            found = store.get(self.conn, id=self.id)
        assert found is not None
        return found

    @property
    def repository(self) -> GroupRepository:
        return GroupRepository(self.settings, self.group.id)

    def add(self, content: bytes, after: int = 0) -> None:
        """An INCREMENTAL import (the first one FULL)."""
        self.imports += 1
        name = f"import{self.imports}"
        self.previous = run(
            self.folder,
            self.kind,
            content,
            name=name,
            previous=self.previous,
            incremental=self.previous is not None,
            after=after,
        ).snapshot

    def commit(self) -> None:
        """Make what was added the dataset's snapshot."""
        assert self.previous is not None
        tag = f"data/{self.id}/import{self.imports}"
        facts = self.previous.facts(tag)
        self.repository.commit_snapshot(self.id, self.previous.directory, tag, "Import")
        with self.conn.begin():
            store.update(self.conn, self.id, internal={"snapshot": facts})

    def open(self, name: str) -> Snapshot:
        self.repository.materialise(self.dataset.internal["snapshot"]["tag"], "snapshot", self.folder / name)
        return Snapshot.open(self.folder / name)
