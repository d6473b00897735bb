"""Batch inference jobs in a Shop, as the control plane writes them, and what they leave."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipelines.registry import store
from pipelines.registry.store import Resource
from tests.support.runtime import Shop, Version

NO_EXPLORATION = {"itemExplorationConfig": {"explorationWeight": "0"}}


def write_lines(path: Path, lines: Iterable[Any]) -> Path:
    """A file of JSON Lines; what is a string or bytes is written as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [line if isinstance(line, (str, bytes)) else json.dumps(line) for line in lines]
    path.write_bytes(b"".join((t.encode() if isinstance(t, str) else t) + b"\n" for t in texts))
    return path


def add_job(
    shop: Shop,
    version: Version,
    source: str,
    to: str,
    name: str = "nightly",
    kind: str = "BatchInferenceJob",
    **doc: Any,
) -> Resource:
    """A job in CREATE PENDING; `doc` are further members of its description."""
    with shop.engine.begin() as conn:
        return store.insert(
            conn,
            kind=kind,
            arn=shop.arn(kind, name),
            name=name,
            status=store.CREATE_PENDING,
            group_id=shop.group_id,
            parent_id=version.id,
            doc={
                "solutionVersionArn": version.arn,
                "numResults": 5,
                "jobInput": {"s3DataSource": {"path": source}},
                "jobOutput": {"s3DataDestination": {"path": to}},
                **doc,
            },
        )


def look(shop: Shop, job: Resource) -> Resource:
    with shop.engine.begin() as conn:
        found = store.get(conn, id=job.id)
    assert found is not None
    return found


def answers(path: Path) -> list[dict[str, Any]]:
    """What was written for each line."""
    return [json.loads(line) for line in path.read_text().splitlines()]
