"""A client stops a version: its processes end, wherever it has got to, and nothing of it goes on."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Connection

from pipelines.platform.stopping import end_stopped
from pipelines.registry import store
from pipelines.repository.environment import JOB_VARIABLE
from pipelines.repository.locks import locked
from pipelines.serving.local import model_directory
from pipelines.versions import VersionStopped, claim, fail, publish, publishing, reproduce
from pipelines.versions.stopping import stoppable
from tests.support.attempts import Scene
from tests.support.life import wait_for
from tests.support.versions import World, look, new_version


@pytest.fixture
def idle(conn: Connection, world: World, tmp_path: Path) -> Iterator[Scene]:
    """A version that is claimed, of a group without data."""
    scene = Scene(world, new_version(conn, world.solution, "00000001"), tmp_path / "marks", tmp_path / "hold")
    frozen = {"snapshots": {}, "event_cutoff": 0, "record_cutoffs": {}}
    with conn.begin():
        store.update(conn, scene.version.id, status=store.CREATE_IN_PROGRESS, internal=frozen)
    yield scene
    for attempt in scene.attempts:
        attempt.kill()
        attempt.communicate()


def processes(scene: Scene) -> list[psutil.Process]:
    """Those of the training: DVC and its stage's."""
    job = str(scene.world.repository.layout.job(scene.version.id))
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(JOB_VARIABLE) == job:
                found.append(process)
        except psutil.Error:
            continue
    return found


def training(scene: Scene) -> list[psutil.Process]:
    """The same once its stage runs: DVC, the shell of the stage, what that waits for."""
    return wait_for("the stage runs", lambda: found if len(found := processes(scene)) >= 3 else None)  # type: ignore[no-any-return]


def stop(conn: Connection, scene: Scene, status: str = store.CREATE_STOPPING) -> None:
    with conn.begin():
        store.update(conn, scene.version.id, status=status)


def said(attempt: subprocess.Popen[str]) -> str:
    return attempt.communicate(timeout=60)[0]


def alive(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those that run: one that has ended is a zombie until init has noticed."""
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_the_process_group_of_a_training_ends_with_it(conn: Connection, scene: Scene) -> None:
    attempt = scene.attempt("packaging")
    group = training(scene)
    stop(conn, scene)
    # It is not stopped as long as somebody works on it.
    assert (end_stopped(conn, scene.world.settings), look(conn, scene.version.id).status) == (0, "CREATE STOPPING")
    assert "VersionStopped" in said(attempt)
    assert alive(group) == []
    assert processes(scene) == []

    layout = scene.world.repository.layout
    assert (list(layout.job(scene.version.id).parent.iterdir()), scene.world.repository.has(scene.tag)) == ([], False)
    assert end_stopped(conn, scene.world.settings) == 1
    stopped = look(conn, scene.version.id)
    assert (stopped.status, stopped.failure_reason) == ("CREATE STOPPED", None)
    # Whoever clears its task in Airflow does not take it up again.
    for step in (claim, reproduce, publish):
        with pytest.raises(VersionStopped, match="create a new version"):
            step(scene.world.settings, scene.version.id)
    fail(scene.world.settings, scene.version.id, "late news")
    assert look(conn, scene.version.id) == stopped


def test_one_that_waits_for_its_solutions_branch_need_not_wait_to_be_stopped(conn: Connection, idle: Scene) -> None:
    with locked(idle.world.repository.layout.lock(f"branch.{idle.branch}")):
        attempt = idle.attempt("waiting for another job on branch")
        stop(conn, idle)
        assert "VersionStopped" in said(attempt)
    assert end_stopped(conn, idle.world.settings) == 1


@pytest.mark.soak
def test_what_a_killed_task_has_left_ends_too(conn: Connection, scene: Scene) -> None:
    attempt = scene.attempt("packaging")
    left = training(scene)
    attempt.kill()
    attempt.wait()
    stop(conn, scene)
    # Its lock goes with its connection.
    wait_for("CREATE STOPPED", lambda: end_stopped(conn, scene.world.settings), seconds=20)
    assert alive(left) == []


def test_one_whose_task_waits_in_the_queue_is_stopped_at_once(conn: Connection, idle: Scene) -> None:
    stop(conn, idle)
    # A run that fails meanwhile changes nothing.
    fail(idle.world.settings, idle.version.id, "the worker is gone")
    assert end_stopped(conn, idle.world.settings) == 1
    with pytest.raises(VersionStopped):
        reproduce(idle.world.settings, idle.version.id)


def test_a_bento_made_meanwhile_is_removed(conn: Connection, idle: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = idle.world.settings
    model = model_directory(settings, idle.world.solution.id, idle.version.id)

    def stopped_meanwhile(*_given: object) -> dict[str, object]:
        model.mkdir(parents=True)
        stop(conn, idle)
        return {"metrics": {}, "warnings": []}

    monkeypatch.setattr(publishing, "build", stopped_meanwhile)
    with pytest.raises(VersionStopped):
        publish(settings, idle.version.id)
    assert (model.exists(), end_stopped(conn, settings)) == (False, 1)


def test_work_goes_on_through_a_restart_of_the_database_and_is_stopped_after_it(conn: Connection, idle: Scene) -> None:
    with pytest.raises(VersionStopped), stoppable(idle.world.settings, idle.version.id):
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
        with conn.begin():
            conn.exec_driver_sql(cut)
        stop(conn, idle)
        time.sleep(20)
