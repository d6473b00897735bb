"""Lay a version's frozen inputs out in its worktree: pointers to snapshots, and what was streamed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from pipelines.datasets.schema import DatasetType, Schema, read_schema, smallest_schema
from pipelines.registry import store
from pipelines.registry.store import Resource
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
    conn: Connection,
    repository: GroupRepository,
    tree: Worktree,
    group_id: str,
    frozen: Mapping[str, Any],
    *,
    after: int = 0,
) -> Inputs:
    """Write pointers, empty snapshots and streamed rows for what `claim` recorded in the version's `internal`.

    Of streamed events those numbered above `after`.
    """
    from pipelines.datasets import snapshot

    fetched, added = [], []
    names = [*(kind.lower() for kind in DATASET_TYPES), "streamed"]
    write_text(tree.path / INPUTS / ".gitignore", "".join(f"/{name}\n" for name in names))
    for kind in DATASET_TYPES:
        target = INPUTS / kind.lower()
        taken = frozen["snapshots"].get(kind)
        if taken is None:
            snapshot.write_empty(tree.path / target, kind)
            added.append(str(target))
        else:
            fetched.append(point(repository, tree, taken["tag"], "snapshot", target))
    _freeze_streamed(conn, group_id, frozen, tree.path / INPUTS / "streamed", after)
    added.append(str(INPUTS / "streamed"))
    return Inputs(fetched, added)


def point(repository: GroupRepository, tree: Worktree, tag: str, tracked: str, target: Path) -> str:
    """Have `target` be what DVC tracks as `tracked` at `tag`; the path of the pointer, which `dvc pull` takes."""
    entry = {"outs": [{**repository.pointer(tag, tracked), "path": target.name}]}
    write_text(tree.path / f"{target}.dvc", dump_yaml(entry))
    return f"{target}.dvc"


def _freeze_streamed(conn: Connection, group_id: str, frozen: Mapping[str, Any], directory: Path, after: int) -> None:
    """One file a dataset type, empty when the group lacks the dataset, and how often items were shown."""
    from pipelines.datasets import impressions, streamed

    datasets = {one.doc["datasetType"]: one for one in store.in_group(conn, group_id, "Dataset")}
    cutoffs = {"INTERACTIONS": frozen["event_cutoff"], **frozen["record_cutoffs"]}
    for kind in DATASET_TYPES:
        dataset, path = datasets.get(kind), directory / f"{kind.lower()}.parquet"
        schema = _schema(conn, dataset, kind)
        if dataset is None:
            streamed.write_empty(schema, path)
        else:
            streamed.freeze(conn, dataset, schema, cutoffs.get(kind, 0), path, after)
    impressions.freeze(conn, group_id, frozen["event_cutoff"], directory / "shown.parquet", after)


def _schema(conn: Connection, dataset: Resource | None, kind: DatasetType) -> Schema:
    schema = store.get(conn, id=dataset.schema_id) if dataset is not None and dataset.schema_id is not None else None
    return smallest_schema(kind) if schema is None else read_schema(schema.doc["schema"], kind)


def input_bytes(repository: GroupRepository, frozen: Mapping[str, Any]) -> int:
    """Size of the snapshots, from their pointers."""
    tags = [taken["tag"] for taken in frozen["snapshots"].values()]
    return sum(int(repository.pointer(tag, "snapshot").get("size", 0)) for tag in tags)
