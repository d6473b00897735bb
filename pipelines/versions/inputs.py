"""Lay a version's frozen inputs out in its worktree: pointers to snapshots, and the streamed events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from pipelines.datasets.schema import DatasetType
from pipelines.registry import store
from pipelines.repository import GroupRepository, Worktree
from pipelines.repository.worktree import dump_yaml, write_text

DATASET_TYPES: tuple[DatasetType, ...] = ("INTERACTIONS", "ITEMS", "USERS")
INPUTS = Path("data/inputs")


@dataclass(frozen=True)
class Inputs:
    """Paths in the worktree: what is fetched by pointer, and what was made here and is added to DVC."""

    fetched: list[str]
    added: list[str]

    def commands(self) -> list[list[str]]:
        """The dvc commands that complete the inputs."""
        # Added one by one in this order, so that the pointers are written the same way each time.
        return [["pull", *self.fetched]] * bool(self.fetched) + [["add", "--quiet", *self.added]]


def lay_out(
    conn: Connection, repository: GroupRepository, tree: Worktree, group_id: str, frozen: Mapping[str, Any]
) -> Inputs:
    """Write pointers, empty snapshots and events for what `claim` recorded in the version's `internal`."""
    from pipelines.datasets import events, snapshot

    fetched, added = [], []
    names = [*(kind.lower() for kind in DATASET_TYPES), "events"]
    write_text(tree.path / INPUTS / ".gitignore", "".join(f"/{name}\n" for name in names))
    for kind in DATASET_TYPES:
        target = INPUTS / kind.lower()
        taken = frozen["snapshots"].get(kind)
        if taken is None:
            snapshot.write_empty(tree.path / target, kind)
            added.append(str(target))
        else:
            pointer = repository.pointer(taken["tag"], "snapshot")
            entry = {"outs": [{**pointer, "path": target.name}]}
            write_text(tree.path / f"{target}.dvc", dump_yaml(entry))
            fetched.append(f"{target}.dvc")
    streamed = tree.path / INPUTS / "events"
    streamed.mkdir(parents=True)
    events.freeze(conn, group_id, frozen["event_cutoff"], interaction_columns(conn, group_id), streamed)
    added.append(str(INPUTS / "events"))
    return Inputs(fetched, added)


def interaction_columns(conn: Connection, group_id: str) -> list[str]:
    """Column names of the group's Interactions schema; empty when that dataset is gone."""
    for dataset in store.in_group(conn, group_id, "Dataset"):
        if dataset.doc["datasetType"] == "INTERACTIONS" and dataset.schema_id is not None:
            schema = store.get(conn, id=dataset.schema_id)
            assert schema is not None
            return [field["name"] for field in json.loads(schema.doc["schema"])["fields"]]
    return []


def input_bytes(repository: GroupRepository, frozen: Mapping[str, Any]) -> int:
    """Size of the snapshots, from their pointers."""
    tags = [taken["tag"] for taken in frozen["snapshots"].values()]
    return sum(int(repository.pointer(tag, "snapshot").get("size", 0)) for tag in tags)
