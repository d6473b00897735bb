"""A second attempt at a version: after the first was killed, and beside a first that Airflow only took for dead."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import Connection

from pipelines import stages_definition
from pipelines.registry.store import Resource
from pipelines.repository.locks import locked
from pipelines.versions import claim, publish, reproduce
from tests.support.versions import World, look, new_version, tiny_stages


@dataclass
class Scene:
    """A version whose second stage goes on for as long as `hold` exists, and processes that try to make it."""

    world: World
    version: Resource
    marks: Path
    hold: Path
    attempts: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def tag(self) -> str:
        return f"sv/{self.world.solution.id}/{self.version.id}"

    def attempt(self, until: str) -> subprocess.Popen[str]:
        """Another process that makes the version; returns once it has printed the line."""
        script = textwrap.dedent(
            f"""
            import logging, sys
            logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
            from pipelines import stages_definition
            from pipelines.settings import Settings
            from pipelines.versions import reproduce
            stages_definition.group_dvc_yaml = lambda: {stages_definition.group_dvc_yaml()!r}
            reproduce(Settings.from_env(), {self.version.id!r})
            """
        )
        job = subprocess.Popen(
            [sys.executable, "-c", script],
            env={**os.environ, **self.world.settings.to_env()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.attempts.append(job)
        assert job.stdout is not None
        for line in job.stdout:
            if until in line:
                return job
        raise AssertionError(f"the attempt ended without saying {until!r}")


@pytest.fixture
def scene(conn: Connection, imported: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    marks, hold = tmp_path / "marks", tmp_path / "hold"
    prepare = f"echo prepared >> {marks}; mkdir data/prepared && cp data/inputs/items/manifest.json data/prepared/"
    tiny_stages(monkeypatch, tmp_path, prepare=prepare)
    hang = f"sh -c 'echo packaging; while [ -e {hold} ]; do sleep 0.2; done; echo packaged >> {marks}'"
    text = stages_definition.group_dvc_yaml().replace(
        "cmd: mkdir -p data/reports", f"cmd: {hang} && mkdir -p data/reports"
    )
    monkeypatch.setattr(stages_definition, "group_dvc_yaml", lambda: text)
    hold.touch()
    scene = Scene(imported, new_version(conn, imported.solution, "00000001"), marks, hold)
    claim(imported.settings, scene.version.id)
    yield scene
    hold.unlink(missing_ok=True)
    for job in scene.attempts:
        job.kill()
        job.communicate()


def test_after_a_kill_it_goes_on_from_the_cache(scene: Scene) -> None:
    first = scene.attempt("packaging")
    first.kill()
    first.wait()
    scene.hold.unlink()

    reproduce(scene.world.settings, scene.version.id)

    assert scene.marks.read_text() == "prepared\npackaged\n"
    assert scene.world.repository.has(scene.tag)


def test_a_first_attempt_that_still_lives_is_stopped_by_the_second(scene: Scene, conn: Connection) -> None:
    first = scene.attempt("packaging")

    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(reproduce, scene.world.settings, scene.version.id)
        assert first.wait(timeout=60) != 0
        scene.hold.unlink()
        second.result(timeout=120)

    publish(scene.world.settings, scene.version.id)
    assert look(conn, scene.version.id).status == "ACTIVE"
    assert scene.marks.read_text() == "prepared\npackaged\n"
    repository = scene.world.repository
    assert repository._git("fsck", "--no-dangling") == ""
    assert repository._git("rev-list", "--count", f"main..{scene.tag}") == "1"
    assert list((repository.layout.root / "jobs").iterdir()) == []


def test_two_attempts_that_wait_for_the_branch_make_the_version_once(scene: Scene) -> None:
    scene.hold.unlink()
    waiting = "waiting for another job on branch"
    repository = scene.world.repository

    with locked(repository.layout.lock(f"branch.{branch(scene)}")):
        attempts = [scene.attempt(waiting), scene.attempt(waiting)]
    for attempt in attempts:
        attempt.communicate(timeout=120)

    assert [attempt.returncode for attempt in attempts] == [0, 0]
    assert scene.marks.read_text() == "prepared\npackaged\n"
    assert repository._git("rev-list", "--count", f"main..{scene.tag}") == "1"


def branch(scene: Scene) -> str:
    return f"solution/{scene.world.solution.id}"
