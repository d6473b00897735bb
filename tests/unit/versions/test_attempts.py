"""A second attempt at a version: after the first was killed, and beside a first that Airflow only took for dead."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection

from pipelines.repository.locks import locked
from pipelines.versions import publish, reproduce
from tests.support.attempts import Scene
from tests.support.versions import look


def test_after_a_kill_it_goes_on_from_the_cache(scene: Scene) -> None:
    first = scene.attempt("packaging")
    first.kill()
    first.wait()
    # Else its stage, let go, may end before the next attempt ends it.
    scene.world.repository.end_leftovers(scene.version.id)
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

    with locked(repository.layout.lock(f"branch.{scene.branch}")):
        attempts = [scene.attempt(waiting), scene.attempt(waiting)]
    for attempt in attempts:
        attempt.communicate(timeout=120)

    assert [attempt.returncode for attempt in attempts] == [0, 0]
    assert scene.marks.read_text() == "prepared\npackaged\n"
    assert repository._git("rev-list", "--count", f"main..{scene.tag}") == "1"
