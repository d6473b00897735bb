"""The supervisor with small children: order, restarts, what the dead leave behind, and a stop that leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipelines.platform.child import FIRST_WAIT, HEALTHY_AFTER, Child, describe_exit
from pipelines.platform.children import ChildSpec
from pipelines.platform.processes import ProcessIdentity, end, session_remains
from pipelines.platform.recovery import end_leftovers
from pipelines.platform.state import MARKER_VARIABLE, ChildState, PlatformState, read_state, running_state, write_state
from pipelines.settings import Settings

# A supervisor over two children: `store` is ready once its file is there, `worker` needs it and has a helper of its
# own, in a session of its own, as the tasks of a scheduler are.
PROGRAM = """
import os, sys, psutil
from pathlib import Path
from pipelines.platform.child import Child
from pipelines.platform.children import STORE, ChildSpec
from pipelines.platform.processes import ProcessIdentity, adopt_orphans
from pipelines.platform.state import PlatformState
from pipelines.platform.supervisor import Supervisor
from pipelines.settings import Settings

settings = Settings(home=Path(sys.argv[1]))
settings.logs_dir.mkdir(parents=True)
settings.run_dir.mkdir(parents=True)
ready = settings.home / "ready"
say = (
    "import os, signal, sys, time\\n"
    f"def stop(*_): open({str(settings.home / 'stopped')!r}, 'a').write(sys.argv[1] + ' '); sys.exit()\\n"
    "signal.signal(signal.SIGTERM, stop)\\n"
)
store = say + f"open({str(ready)!r}, 'w').close(); time.sleep(600)"
helper = "import time; time.sleep(600)"
worker = say + (
    "import pathlib, subprocess, sys, time\\n"
    f"assert pathlib.Path({str(ready)!r}).exists()\\n"
    f"p = subprocess.Popen([sys.executable, '-c', {helper!r}], start_new_session=True)\\n"
    f"pathlib.Path({str(settings.home / 'helper')!r}).write_text(str(p.pid))\\n"
    "time.sleep(600)"
)
env = dict(os.environ, OPENPERSONALIZE_SUPERVISED="marker-of-this-test")
specs = [
    ChildSpec("worker", (sys.executable, "-c", worker, "worker"), env, needs=("store",)),
    ChildSpec("store", (sys.executable, "-c", store, "store"), env, stop_stage=STORE, ready=ready.exists),
]
adopt_orphans()
state = PlatformState(ProcessIdentity.of(os.getpid()), psutil.boot_time(), "marker-of-this-test", "", {})
Supervisor(settings, [Child(spec, settings.logs_dir) for spec in specs], state).run()
"""


def eventually(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Poll until `condition()` is true and return what it gave; fails the test after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds:.0f} s")


class Running:
    """A supervisor in a process of its own."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings(home=home)
        self.process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(home)])

    def child(self, name: str) -> ChildState | None:
        state = running_state(self.settings)
        return state.children[name] if state else None

    def pid(self, name: str) -> int | None:
        child = self.child(name)
        return child.identity.pid if child and child.identity else None

    def helper(self) -> int | None:
        path = self.settings.home / "helper"
        return int(path.read_text() or 0) if path.exists() else None


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path / "home")
    eventually(lambda: running.pid("worker") and running.helper())
    yield running
    if running.process.poll() is None:
        running.process.terminate()
        running.process.wait(timeout=30)
    end_leftovers(running.settings)


def alive(pid: int) -> bool:
    return ProcessIdentity.of(pid) is not None


def test_a_killed_child_comes_back_and_what_it_left_is_ended(running: Running) -> None:
    worker, helper = running.pid("worker"), running.helper()
    assert worker and helper
    os.kill(worker, signal.SIGKILL)

    eventually(lambda: running.pid("worker") not in (None, worker))

    child = running.child("worker")
    assert child is not None
    assert (child.restarts, child.last_exit) == (1, "killed by SIGKILL")
    assert not alive(helper)


def test_stop_ends_everything_in_order_and_removes_the_state(running: Running) -> None:
    pids = [running.pid("worker"), running.pid("store"), running.helper()]

    running.process.terminate()

    assert running.process.wait(timeout=30) == 0
    assert [pid for pid in pids if pid and alive(pid)] == []
    assert read_state(running.settings) is None
    assert (running.settings.home / "stopped").read_text().split() == ["worker", "store"]


def test_children_of_a_killed_supervisor_end_and_their_orphans_are_found(running: Running) -> None:
    worker, store, helper = running.pid("worker"), running.pid("store"), running.helper()
    assert worker and store and helper
    running.process.kill()
    running.process.wait()
    assert running_state(running.settings) is None

    end_leftovers(running.settings)

    assert [pid for pid in (worker, store, helper) if alive(pid)] == []
    assert read_state(running.settings) is None


def test_leftovers_of_another_platform_are_not_touched(running: Running, tmp_path: Path) -> None:
    end_leftovers(Settings(home=tmp_path / "other"))

    assert alive(running.process.pid)
    assert running.pid("worker")


# One child, with a clock of the test's own --------------------------------------------------------------------


def failing_child(tmp_path: Path, **options: Any) -> Child:
    return Child(ChildSpec("c", (sys.executable, "-c", "raise SystemExit(3)"), dict(os.environ), **options), tmp_path)


def run_to_its_end(child: Child, started: float, ended: float) -> None:
    child.start(started)
    assert child.pid is not None
    _, status = os.waitpid(child.pid, 0)
    child.ended(status, ended)


def test_wait_doubles_up_to_the_limit_and_starts_anew_after_a_healthy_while(tmp_path: Path) -> None:
    child = failing_child(tmp_path, backoff_limit=1.5)
    now = 0.0
    for wait in (FIRST_WAIT, 2 * FIRST_WAIT, 1.5, 1.5):
        run_to_its_end(child, now, now)
        assert not child.due(now + wait - 0.01)
        assert child.due(now + wait)
        now += wait
    run_to_its_end(child, now, now + HEALTHY_AFTER)

    assert child.due(now + HEALTHY_AFTER + FIRST_WAIT)
    assert child.state().state == "backoff"
    assert child.last_exit == "exit code 3"
    assert child.restarts == 4


def test_a_program_that_is_not_there_is_a_failure_like_any_other(tmp_path: Path) -> None:
    child = Child(ChildSpec("c", ("/no/such/program",), {}), tmp_path)

    child.start(0.0)

    assert child.state().state == "backoff"
    assert "/no/such/program" in child.last_exit


def test_a_step_that_ends_well_is_done_and_not_started_again(tmp_path: Path) -> None:
    child = Child(ChildSpec("c", (sys.executable, "-c", ""), dict(os.environ), once=True), tmp_path)
    assert not child.ready

    run_to_its_end(child, 0.0, 0.0)

    assert child.ready
    assert not child.due(1e9)
    assert child.state().state == "done"


@pytest.mark.parametrize(("code", "words"), [(0, "exit code 0"), (1, "exit code 1"), (-9, "killed by SIGKILL")])
def test_exits_are_put_into_words(code: int, words: str) -> None:
    assert describe_exit(code) == words


# Identity and state ---------------------------------------------------------------------------------------------


def test_a_pid_that_belongs_to_another_process_now_is_not_ours() -> None:
    me = ProcessIdentity.of(os.getpid())
    assert me is not None

    assert me.alive()
    assert not ProcessIdentity(me.pid, me.started - 1000).alive()
    assert session_remains(ProcessIdentity(me.pid, me.started - 1000)) == []


def test_end_kills_what_ignores_the_polite_signal() -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()

    end([psutil.Process(process.pid)], patience=0.1)

    assert process.wait(timeout=5) == -signal.SIGKILL


def test_state_survives_writing_and_reading(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    settings.run_dir.mkdir()
    me = ProcessIdentity.of(os.getpid())
    assert me is not None
    children = {"a": ChildState("a", "running", me, 2, "exit code 1"), "b": ChildState("b", "waiting")}
    state = PlatformState(me, psutil.boot_time(), "m", "postgresql://", {"control": 1}, children=children)

    write_state(settings, state)

    assert read_state(settings) == state


def test_state_that_an_older_version_wrote_is_still_read(tmp_path: Path) -> None:
    """After an upgrade of the code its platform is the one that `down` has to stop."""
    me = ProcessIdentity.of(os.getpid())
    assert me is not None
    written = PlatformState(me, psutil.boot_time(), "m", "", {"control": 1}).to_json()
    for added in ("version", "airflow_url"):
        del written[added]
    found = PlatformState.from_json(written)
    assert found is not None and (found.supervisor, found.version) == (me, "")


def test_state_of_an_earlier_boot_means_nothing(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    settings.run_dir.mkdir()
    me = ProcessIdentity.of(os.getpid())
    assert me is not None

    write_state(settings, PlatformState(me, psutil.boot_time() - 3600, "m", "", {}))

    assert read_state(settings) is None


def test_marker_variable_is_what_the_program_above_sets() -> None:
    assert f"{MARKER_VARIABLE}=" in PROGRAM
