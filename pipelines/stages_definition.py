"""dvc.yaml in one place: the repository's root has it, the installed package carries a copy, groups get a part of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

ROOT_ONLY = ("import", "validate")


def definition() -> str:
    """The text of dvc.yaml: the wheel's copy `pipelines/dvc.yaml`, or the checkout's own file."""
    packaged = Path(__file__).with_name("dvc.yaml")
    source = packaged if packaged.exists() else Path(__file__).parents[1] / "dvc.yaml"
    return source.read_text(encoding="utf-8")


def group_dvc_yaml() -> str:
    """dvc.yaml of a dataset group: without the stages that make the example's inputs, which are frozen there.

    Nor the dependencies on pipelines/, which no worktree has: `code` of params.yaml (code_digest.py) stands for them.
    """
    import yaml

    document: dict[str, Any] = yaml.safe_load(definition())
    stages = document["stages"]
    made = {out for name in ROOT_ONLY for out in stages[name]["outs"] if not out.startswith("data/inputs/")}
    for name in ROOT_ONLY:
        del stages[name]
    for stage in stages.values():
        stage["deps"] = [dep for dep in stage["deps"] if dep not in made and not dep.startswith("pipelines/")]
    return yaml.safe_dump(document, sort_keys=False, width=120)
