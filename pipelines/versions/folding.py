"""An update in its worktree: newer inputs beside the model and the prepared data of the version that it starts from.

It always starts from a FULL version, never from an update of it. So it depends on nothing but that version's tag and its
own frozen inputs, can be made again, and a lost or failed one is made up for by the next; what a chain would save, the
time to count events that are counted already, is little beside starting Python and DVC (tests/bench/update_bench.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from pipelines.repository import GroupRepository, Worktree
from pipelines.repository.worktree import PARAMS, write_text
from pipelines.versions.inputs import INPUTS, lay_out, point
from pipelines.versions.lookup import Subject
from pipelines.versions.params import recipe_of
from pipelines.versions.stage_log import repro

DATA = Path("data")
REPORTS = "data/reports"


@dataclass(frozen=True)
class Fold:
    """What an update is made of."""

    base: Subject
    """The FULL version whose weights it takes."""
    frozen: Mapping[str, Any]
    """Newer inputs, as claiming.freeze gives them."""
    tag: str
    message: str
    edition: int = 0
    """Of the artefact, see pipelines.serving.scrubbing."""


def fold(database: Engine, repository: GroupRepository, tree: Worktree, wanted: Fold) -> None:
    """Run stage `update`, commit, push and tag; raises VersionFailed, CommandFailed or RepositoryError.

    Hyperparameters, columns and reports are those of the version that it starts from.
    """
    import yaml

    from pipelines.code_digest import code_params
    from pipelines.recipes import packages
    from pipelines.recipes.installed import origin
    from pipelines.stages_definition import update_dvc_yaml

    base, recipe = wanted.base, recipe_of(wanted.base)
    seen = int(base.version.internal["event_cutoff"])
    lock = packages.lock(recipe)
    values = {
        **yaml.safe_load(repository.show(base.tag, PARAMS)),
        "code": {**code_params(lock), **origin(recipe)},
        "update": {
            "updated_from": base.version.id,
            "edition": wanted.edition,
            # Users' histories are those of `base`, what is said of users is newer (pipelines/recipes/updating.py).
            "cutoffs": {"events": seen, "users": int(wanted.frozen["record_cutoffs"].get("USERS", 0))},
        },
    }
    with database.connect() as conn:
        inputs = lay_out(conn, repository, tree, base.group_id, wanted.frozen, after=seen)
    taken = {
        "data/inputs/streamed": INPUTS / "before" / "streamed",
        "data/prepared": DATA / "prepared",
        "data/model": DATA / "model",
    }
    for tracked, target in taken.items():
        inputs.fetched.append(point(repository, tree, base.tag, tracked, target))
    write_text(tree.path / INPUTS / "before" / ".gitignore", "/streamed\n")
    write_text(tree.path / DATA / ".gitignore", "/prepared\n/model\n/artefact\n")
    tree.git("checkout", base.tag, "--", REPORTS)
    write_text(tree.path / "dvc.yaml", update_dvc_yaml())
    write_text(tree.path / packages.LOCK, lock)
    repro(tree, wanted.message, wanted.tag, inputs.commands(), values)
