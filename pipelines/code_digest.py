"""Which code makes a version: part of its params.yaml, so that DVC runs a stage again when its code has changed.

DVC sees files of the worktree only, and the code is installed elsewhere; without the digest, results of older code
would be taken from the run cache. A recipe of another package is covered by pipelines.recipes.installed.origin.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

SOURCES = (
    "recipes",
    "evaluation",
    "serving",
    "aws/numbers.py",
    "datasets/impressions.py",
    "datasets/joining.py",
    "datasets/schema.py",
    "datasets/sequences.py",
    "datasets/snapshot.py",
    "stages.py",
    "stages_definition.py",
)
"""What decides a version's bytes, below pipelines/. The rest of the import decides a snapshot's, which is frozen before."""


def code_digest() -> str:
    """sha256, hex, over the source of the stages: names and contents of its Python files."""
    root = Path(__file__).parent
    files = sorted(
        file for name in SOURCES for file in ([root / name] if name.endswith(".py") else (root / name).rglob("*.py"))
    )
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.relative_to(root).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def code_params(lock: str) -> dict[str, str]:
    """`code` of params.yaml, with the digest of a recipe's lock (pipelines.recipes.packages): other packages are other code."""
    from importlib.metadata import version

    from pipelines.recipes.packages import digest

    return {"version": version("openpersonalize"), "digest": code_digest(), "lock": digest(lock)}
