"""A BentoML model and a small Bento for a solution version: a view of the artefact that can be rebuilt.

Built aside in a Bento store of its own, in a process of its own (BentoML reads its home once), then renamed into
place: a runtime worker that sees the model's folder sees all of it. The model's files are hard links to the artefact.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines.repository.locks import locked
from pipelines.repository.processes import stream
from pipelines.repository.worktree import write_text
from pipelines.settings import TELEMETRY_OFF, Settings
from pipelines.versions.bento_builder import link
from pipelines.versions.lookup import Subject

MANIFEST = "manifest.json"
MODEL = "model.yaml"
"""What BentoML knows of a model, beside its files."""


@dataclass(frozen=True)
class Spec:
    """What a Bento is built from; the JSON of it is the builder process's argument."""

    solution_id: str
    version_id: str
    artefact: str
    labels: Mapping[str, str]
    metadata: Mapping[str, Any]

    @classmethod
    def of(cls, found: Subject, reports: Mapping[str, Any], artefact: Path) -> Spec:
        """The Bento of a version, labelled so that a person finds it in `bentoml list`, and sees what is wrong with it."""
        warnings = reports["warnings"]
        recipe = str(found.version.doc.get("recipeArn") or found.solution.doc["recipeArn"]).rpartition("/")[2]
        return cls(
            solution_id=found.solution.id,
            version_id=found.version.id,
            artefact=str(artefact),
            labels={"solution": found.solution.name, "recipe": recipe, "dataset_group": found.group_id}
            | ({"warning": warnings[0]["code"]} if warnings else {}),
            metadata={
                "solution_version_arn": found.version.arn,
                "tag": found.tag,
                "metrics": dict(reports["metrics"]),
                "baselines": dict(reports["baselines"]),
                "warnings": [warned["text"] for warned in warnings],
            },
        )

    @property
    def name(self) -> str:
        return f"solution-{self.solution_id}"

    @property
    def tag(self) -> str:
        return f"{self.name}:{self.version_id}"


def build(settings: Settings, spec: Spec) -> None:
    """Put the version's model and Bento into the store, in place of what is there; raises CommandFailed."""
    home = settings.bento_home
    # A name per attempt: BentoML's own scratch of a killed one must not be taken for this one's.
    staging = home / f".building-{spec.version_id}"
    with _alone(settings, spec.version_id):
        shutil.rmtree(staging, ignore_errors=True)
        for name in ("bentos", "models", "tmp"):
            (staging / name).mkdir(parents=True)
        try:
            stream(
                [sys.executable, "-m", "pipelines.versions.bento_builder", json.dumps(asdict(spec))],
                cwd=staging,
                env={**os.environ, **TELEMETRY_OFF, "BENTOML_HOME": str(staging), "TMPDIR": str(staging / "tmp")},
            )
            # The model last: the runtime takes a version for complete as soon as its model is there.
            for kind in ("bentos", "models"):
                _move(staging / kind / spec.name / spec.version_id, home / kind / spec.name / spec.version_id)
                write_text(home / kind / spec.name / "latest", spec.version_id)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def swap_model(settings: Settings, solution_id: str, version_id: str, artefact: Path) -> bool:
    """Put another artefact of a version into its model; False, and nothing done, when it has none here.

    Its Bento, which only refers to the model, stays: neither BentoML nor a process of its own is needed.
    """
    home = settings.bento_home
    place, bento = (home / kind / f"solution-{solution_id}" / version_id for kind in ("models", "bentos"))
    staging = home / f".building-{version_id}"
    with _alone(settings, version_id):
        if not (place / MODEL).is_file() or not bento.is_dir():
            return False
        shutil.rmtree(staging, ignore_errors=True)
        try:
            new = staging / version_id
            shutil.copytree(artefact, new, copy_function=_link)
            shutil.copyfile(place / MODEL, new / MODEL)
            _move(new, place)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return True


def remove(settings: Settings, solution_id: str, version_id: str) -> None:
    """Take a version out of the store; nothing there is fine. Who has its files mapped keeps them."""
    for kind in ("bentos", "models"):
        _discard(settings.bento_home / kind / f"solution-{solution_id}" / version_id)


def remove_leftovers(settings: Settings, solution_id: str, version_id: str) -> None:
    """Take away what builds of a version left that were killed."""
    home = settings.bento_home
    found = [home / f".building-{version_id}", *home.glob(f".artefact-{version_id}-*")]
    for kind in ("bentos", "models"):
        found += (home / kind / f"solution-{solution_id}").glob(f".{version_id}-*")
    for folder in found:
        shutil.rmtree(folder, ignore_errors=True)


def remove_solution(settings: Settings, solution_id: str) -> None:
    """Take all versions of a solution out of the store."""
    for kind in ("bentos", "models"):
        _discard(settings.bento_home / kind / f"solution-{solution_id}")


def _alone(settings: Settings, version_id: str) -> AbstractContextManager[int]:
    lock = settings.bento_home / ".locks" / version_id
    return locked(lock, waiting_for="another process that builds this version's Bento")


def _link(source: str, destination: str) -> str:
    """As the builder does; of a link that which it leads to."""
    return link(os.path.realpath(source), destination)


def _move(new: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if (place / MANIFEST).exists() and (place / MANIFEST).read_bytes() == (new / MANIFEST).read_bytes():
        # The manifest has every file's checksum: it is the same, and may be in use.
        return
    _discard(place)
    new.rename(place)


def _discard(folder: Path) -> None:
    """Remove a folder in one step for whoever looks."""
    if folder.is_dir():
        doomed = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}")
        folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
