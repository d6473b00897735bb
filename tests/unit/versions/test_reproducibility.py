"""The fourth door, with the real stages: any tag, in a clone with nothing in its cache, makes the same bytes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Connection

from pipelines.settings import TELEMETRY_OFF, Settings
from pipelines.versions import claim, publish, reproduce
from pipelines.versions.stage_log import THREAD_VARIABLES
from tests.support.versions import import_shop, look, make_world, new_version

pytestmark = pytest.mark.soak


def digests(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_a_clone_with_empty_caches_makes_the_same_bytes(conn: Connection, settings: Settings, tmp_path: Path) -> None:
    world = make_world(conn, settings)
    import_shop(conn, world, tmp_path / "work")
    version = new_version(conn, world.solution, "00000001")
    claim(settings, version.id)
    reproduce(settings, version.id)
    publish(settings, version.id)
    assert look(conn, version.id).internal["metrics"]["precision_at_5"] > 0
    tag = f"sv/{world.solution.id}/{version.id}"
    for name in ("prepared", "model", "artefact"):
        world.repository.materialise(tag, f"data/{name}", tmp_path / "expected" / name)

    clone = tmp_path / "clone"
    env = {
        **os.environ,
        **TELEMETRY_OFF,
        **dict.fromkeys(THREAD_VARIABLES, "2"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "DVC_SITE_CACHE_DIR": str(tmp_path / "site"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }

    def run(*command: str) -> None:
        subprocess.run(command, cwd=clone if clone.exists() else tmp_path, env=env, check=True)

    run("git", "clone", "--quiet", str(world.repository.layout.git_dir), str(clone))
    run("git", "checkout", "--quiet", tag)
    inputs = ("interactions", "items", "users", "streamed")
    run(sys.executable, "-m", "dvc", "pull", *(f"data/inputs/{name}.dvc" for name in inputs))
    run(sys.executable, "-m", "dvc", "repro", "--force")
    run("git", "diff", "--exit-code", tag)
    for name in ("prepared", "model", "artefact"):
        assert digests(clone / "data" / name) == digests(tmp_path / "expected" / name)
