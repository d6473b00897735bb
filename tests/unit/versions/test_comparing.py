"""`openpersonalize diff` of two versions: metrics, parameters, code and data, with snapshots as an import writes them."""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from sqlalchemy import Connection

from pipelines.datasets import streamed
from pipelines.datasets.example import build_snapshot
from pipelines.datasets.schema import read_schema
from pipelines.datasets.snapshot import write_empty
from pipelines.platform.diff_command import as_json, collect
from pipelines.platform.diff_views import show
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.repository import GroupRepository
from pipelines.repository.worktree import dump_yaml, write_text
from pipelines.settings import Settings
from tests.support import shop
from tests.support.registry import add_group, add_solution, add_version

NDCG = "normalized_discounted_cumulative_gain_at_25"


def cached(repository: GroupRepository, directory: Path) -> dict[str, Any]:
    """Put a directory into the group's cache as DVC does; its pointer."""
    listing = []
    for file in sorted(path for path in directory.rglob("*") if path.is_file()):
        md5 = hashlib.md5(file.read_bytes()).hexdigest()
        target = repository.layout.cache / "files" / "md5" / md5[:2] / md5[2:]
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            os.link(file, target)
        listing.append({"md5": md5, "relpath": str(file.relative_to(directory))})
    content = json.dumps(listing, sort_keys=True).encode()
    md5 = hashlib.md5(content).hexdigest() + ".dir"
    target = repository.layout.cache / "files" / "md5" / md5[:2] / md5[2:]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return {"md5": md5, "nfiles": len(listing), "hash": "md5"}


def add_made(
    conn: Connection, settings: Settings, solution: Resource, name: str, inputs: Path, params: dict[str, Any]
) -> Resource:
    """A version whose commit has `params` and, as inputs, what lies in `inputs`."""
    metrics = {NDCG: params["hyperparameters"]["bptt"] / 100}
    with conn.begin():
        version = add_version(conn, solution, name)
        tag = f"sv/{solution.id}/{version.id}"
        report = {"baselines": {"popularity": {NDCG: 0.01}}, "warnings": []}
        version = store.update(conn, version.id, internal={"tag": tag, "metrics": metrics, "report": report})
    repository = GroupRepository(settings, str(solution.group_id))
    with repository.worktree(f"solution/{solution.id}", version.id) as tree:
        tree.write_params(params)
        for directory in sorted(inputs.iterdir()):
            pointer = {**cached(repository, directory), "path": directory.name}
            write_text(tree.path / "data" / "inputs" / f"{directory.name}.dvc", dump_yaml({"outs": [pointer]}))
        tree.git("add", "--all")
        tree.git("commit", "--quiet", "--allow-empty", "-m", name)
        tree.git("tag", tag, "HEAD")
    return version


def write_inputs(folder: Path, csv: dict[str, Path]) -> None:
    build_snapshot(csv["INTERACTIONS"], shop.SCHEMAS["INTERACTIONS"], "INTERACTIONS", folder / "interactions")
    for kind in ("ITEMS", "USERS"):
        write_empty(folder / kind.lower(), kind)  # type: ignore[arg-type]
    (folder / "streamed").mkdir()
    for kind, schema in shop.SCHEMAS.items():
        streamed.write_empty(read_schema(schema, kind), folder / "streamed" / f"{kind.lower()}.parquet")  # type: ignore[arg-type]


def params(bptt: int, **code: str) -> dict[str, Any]:
    return {
        "code": {"version": "1.2", "digest": "d", **code},
        "solution": {"recipe": "aws-hrnn", "event_type": None},
        "hyperparameters": {"bptt": bptt},
        "featurization": {},
        "hpo": None,
        "training": {"seed": 0},
    }


@pytest.fixture
def pair(conn: Connection, settings: Settings, tmp_path: Path) -> tuple[Resource, Resource, Resource]:
    """Two versions of different data, and a third of the second's."""
    before = shop.write(tmp_path / "before", users=40, items=40)
    after = shop.write(tmp_path / "after", users=50, items=60, seed=6)
    rows = after["INTERACTIONS"].read_text().splitlines()
    after["INTERACTIONS"].write_text("\n".join(r.replace("watch", "buy") if n % 2 else r for n, r in enumerate(rows)))
    write_inputs(tmp_path / "a", before)
    write_inputs(tmp_path / "b", after)
    with conn.begin():
        solution = add_solution(conn, add_group(conn))
    return (
        add_made(conn, settings, solution, "0000000a", tmp_path / "a", params(8)),
        add_made(conn, settings, solution, "0000000b", tmp_path / "b", params(16, lock="e")),
        add_made(conn, settings, solution, "0000000c", tmp_path / "b", params(16, lock="e")),
    )


def shown(settings: Settings, a: str, b: str) -> str:
    console = Console(width=150, file=io.StringIO())
    show(console, collect(settings, a, b))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_two_versions_side_by_side(settings: Settings, pair: tuple[Resource, ...]) -> None:
    found = collect(settings, "0000000a", "0000000b")
    assert [(one.name, one.a, one.b) for one in found.metrics] == [
        (NDCG, 0.08, 0.16),
        (f"popularity's {NDCG}", 0.01, 0.01),
    ]
    assert [(one.name, one.a, one.b) for one in found.parameters] == [("hyperparameters.bptt", 8, 16)]
    assert [(one.name, one.a, one.b) for one in found.code] == [("lock", None, "e")]
    [data] = found.data
    assert (data.dataset_type, data.is_same, data.rows, data.streamed) == ("INTERACTIONS", False, (1200, 1500), (0, 0))
    numbers = {one.name: (one.a, one.b) for one in data.numbers}
    assert numbers["users"] == (40, 50) and numbers["items"][0] <= 40 < numbers["items"][1] <= 60
    assert data.drift["rows"] == 1.25
    assert data.drift["new_users"] == 0.2 and data.drift["new_items"] > 0.2
    assert data.drift["EVENT_TYPE"] > 1
    text = shown(settings, "0000000a", "0000000b")
    for words in (
        "The data differ, so the metrics are of different questions",
        "NDCG@25",
        "+0.0800",
        "hyperparameters.bptt",
        "drift  rows: 1.25 times a's",
        "drift  new users: 20.0% of b's",
        "far moved",
        "drift  rows a day: 1.17 times a's",
    ):
        assert words in text
    assert json.loads(as_json(found))["data"][0]["rows"] == [1200, 1500]

    # What is the same is said to be, and nothing is measured.
    text = shown(settings, "0000000b", "0000000c")
    assert "Parameters: the same" in text and "Code: the same" in text
    assert "Interactions: the same snapshot" in text and "drift" not in text and "different questions" not in text
