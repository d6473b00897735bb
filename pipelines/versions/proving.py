"""A version is made a second time, in a clone with nothing in its caches, and every output's checksum compared.

First it is said whether the code that is installed is the code that made the version: with another one equal checksums
would be luck and different ones no news. On another kind of CPU the same code may round otherwise.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.disk import require_disk
from pipelines.repository import CommandFailed, GroupRepository, RepositoryError
from pipelines.repository.clones import clone
from pipelines.repository.locks import locked
from pipelines.repository.processes import OnLine
from pipelines.settings import Settings
from pipelines.versions.errors import VersionFailed
from pipelines.versions.reproducing import BASE_BYTES, BYTES_PER_INPUT_BYTE
from pipelines.versions.stage_log import THREAD_VARIABLES, StageLog

LOCK = "dvc.lock"


@dataclass(frozen=True)
class Difference:
    """Something about the code that is not as it was when the version was made."""

    what: str
    recorded: str
    installed: str


@dataclass(frozen=True)
class Output:
    """A stage's output, and its md5 as DVC has it: of a directory, of the list of its files' md5."""

    path: str
    recorded: str
    made: str | None
    """None: it was not made."""

    @property
    def is_same(self) -> bool:
        return self.made == self.recorded


def differences(repository: GroupRepository, tag: str) -> list[Difference]:
    """What of the installed code differs from that which made the version; raises RepositoryError or VersionFailed."""
    from pipelines.code_digest import code_params
    from pipelines.recipes import packages
    from pipelines.recipes.catalogue import recipe_by_name
    from pipelines.recipes.installed import origin

    params = committed_yaml(repository, tag, "params.yaml")
    recorded, name = params["code"], params["solution"]["recipe"]
    recipe = recipe_by_name(name)
    if recipe is None:
        raise VersionFailed(f"Recipe {name} is not installed, so this version cannot be made here.")
    lock = packages.lock(recipe)
    installed = {**code_params(lock), **origin(recipe)}
    words = {
        "version": "openpersonalize",
        "digest": "its source",
        "recipe": "package of the recipe",
        "recipe_digest": "source of the recipe",
    }
    found = [
        Difference(word, str(recorded.get(key, "none")), str(installed.get(key, "none")))
        for key, word in words.items()
        if recorded.get(key) != installed.get(key)
    ]
    if "lock" not in recorded:
        found.append(Difference("packages", "not recorded, by an older release", installed["lock"]))
    elif recorded["lock"] != installed["lock"]:
        found += _packages(repository.show(tag, packages.LOCK).decode(), lock)
    return found


def _packages(recorded: str, installed: str) -> list[Difference]:
    """Line by line: `name==version`, and the interpreter's comment."""
    old, new = _by_name(recorded), _by_name(installed)
    differing = sorted(name for name in {**old, **new} if old.get(name) != new.get(name))
    return [Difference(name, old.get(name, "none"), new.get(name, "none")) for name in differing]


def _by_name(lock: str) -> dict[str, str]:
    pairs = (line.partition("==") for line in lock.splitlines() if not line.startswith("#"))
    comment = next((line.removeprefix("# ") for line in lock.splitlines() if line.startswith("#")), "none")
    return {"interpreter": comment, **{name: version for name, _, version in pairs}}


def prove(settings: Settings, repository: GroupRepository, tag: str, on_line: OnLine) -> list[Output]:
    """Run every stage of the version again and compare; `on_line` gets what the stages print.

    Inputs come from the remote, and nothing else does. One at a time on a platform; what a killed one left goes first.
    Raises VersionFailed with a stage's reason, CommandFailed, RepositoryError or DiskFull.
    """
    recorded = _outputs(committed_yaml(repository, tag, LOCK))
    inputs = [f"{path}.dvc" for path in repository.added(tag)]
    size = sum(int(repository.pointer(tag, path.removesuffix(".dvc")).get("size", 0)) for path in inputs)
    require_disk(settings.home, BASE_BYTES + BYTES_PER_INPUT_BYTE * size)
    folder = settings.run_dir / "reproduce"
    with locked(settings.run_dir / "reproduce.lock", waiting_for="another version that is being reproduced"):
        shutil.rmtree(folder, ignore_errors=True)
        try:
            made = _again(repository, tag, folder, inputs, on_line)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return [Output(path, md5, made.get(path)) for path, md5 in recorded.items()]


def _again(
    repository: GroupRepository, tag: str, folder: Path, inputs: list[str], on_line: OnLine
) -> Mapping[str, str]:
    import yaml

    second = clone(repository, tag, folder / "clone", folder / "site", *inputs)
    threads = str(yaml.safe_load((second.path / "params.yaml").read_text())["training"]["threads"])
    stages = StageLog(on_line)
    try:
        second.dvc(["repro", "--force"], on_line=stages.line, env=dict.fromkeys(THREAD_VARIABLES, threads))
    except CommandFailed as error:
        raise VersionFailed(stages.reason) if stages.reason else error from error
    return _outputs(yaml.safe_load((second.path / LOCK).read_text()))


def _outputs(lock: Mapping[str, Any]) -> dict[str, str]:
    return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage.get("outs", [])}


def committed_yaml(repository: GroupRepository, tag: str, path: str) -> dict[str, Any]:
    """A committed YAML file; raises RepositoryError when the tag does not have it."""
    import yaml

    try:
        found: dict[str, Any] = yaml.safe_load(repository.show(tag, path))
    except CommandFailed as error:
        raise RepositoryError(f"{tag} of group {repository.group_id} does not have {path}") from error
    return found
