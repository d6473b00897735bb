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
    return _text(_group())


def update_dvc_yaml() -> str:
    """dvc.yaml of an update: one stage from what `prepare` reads to what `package` writes, around the fit.

    It is made of those two rather than written down beside them, so that whatever they come to read an update reads too.
    What `package` reads is a version's here, and fixed. One stage, because starting Python and reading arrays twice
    costs as much as the update itself.
    """
    stages = _group()["stages"]
    prepare, package = stages["prepare"], stages["package"]
    update = {
        "cmd": "python -m pipelines.stages update",
        "deps": [*prepare["deps"], "data/inputs/before/streamed", *package["deps"]],
        "params": [*package["params"], "training", "update"],
        "outs": [*package["outs"], {"data/reports/update.json": {"cache": False}}],
    }
    return _text({"stages": {"update": update}})


def _group() -> dict[str, Any]:
    import yaml

    document: dict[str, Any] = yaml.safe_load(definition())
    stages = document["stages"]
    made = {out for name in ROOT_ONLY for out in stages[name]["outs"] if not out.startswith("data/inputs/")}
    for name in ROOT_ONLY:
        del stages[name]
    for stage in stages.values():
        stage["deps"] = [dep for dep in stage["deps"] if dep not in made and not dep.startswith("pipelines/")]
    return document


def _text(document: dict[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(document, sort_keys=False, width=120)
