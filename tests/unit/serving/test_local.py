"""Where a version's artefact lies on this machine, and how it comes back when it is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from pipelines.serving import local
from pipelines.serving.scrubbing import edition, scrub
from pipelines.settings import Settings
from tests.support.artefacts import make_artefact


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def command(monkeypatch: pytest.MonkeyPatch, program: str) -> list[list[str]]:
    """Let `program` run instead of the restore command; the command lines that were asked for."""
    asked: list[list[str]] = []
    start = subprocess.Popen

    def popen(arguments: list[str], **options: Any) -> Any:
        asked.append(arguments)
        return start([sys.executable, "-c", program, arguments[-1]], **options)

    monkeypatch.setattr(local.subprocess, "Popen", popen)
    return asked


MAKE = (
    "import os, sys, pathlib\n"
    "pathlib.Path(os.environ['OPENPERSONALIZE_HOME'], 'bentoml/models/solution-s', sys.argv[1]).mkdir(parents=True)"
)


def test_what_is_here_is_not_restored(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = command(monkeypatch, "raise SystemExit(1)")
    local.model_directory(here, "s", "v1").mkdir(parents=True)
    assert local.fetch(here, "s", "v1") == here.home / "bentoml/models/solution-s/v1"
    assert asked == []


def test_what_is_missing_is_restored_by_the_versions_command(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = command(monkeypatch, MAKE)
    assert local.fetch(here, "s", "v1").is_dir()
    assert asked == [[sys.executable, "-m", "pipelines.versions.restore", "v1"]]


def test_two_who_miss_the_same_version_restore_it_once(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = command(monkeypatch, MAKE)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: local.fetch(here, "s", "v1"), range(4)))
    assert len(asked) == 1


def test_a_failed_restore_says_the_commands_last_lines(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    command(monkeypatch, "import sys; print('noise\\n' * 999); sys.exit('the remote has no version v1')")
    with pytest.raises(local.FetchError, match=r"v1 could not be restored: .*the remote has no version v1$"):
        local.fetch(here, "s", "v1")


def test_a_restore_that_leaves_nothing_is_an_error(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    command(monkeypatch, "")
    with pytest.raises(local.FetchError, match="is not there"):
        local.fetch(here, "s", "v1")


def test_a_restore_ends_with_the_worker(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    command(monkeypatch, f"import time; open({os.fspath(here.home / 'started')!r}, 'w').close(); time.sleep(60)")
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        fetched = pool.submit(local.fetch, here, "s", "v1", 0, stop)
        deadline = time.monotonic() + 20
        while not (here.home / "started").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        stop.set()
        with pytest.raises(local.FetchError):
            fetched.result(10)


def test_an_edition_older_than_the_one_wanted_is_rebuilt(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = make_artefact(local.model_directory(here, "s", "v1"))

    def rebuild(_settings: Settings, _version_id: str, _stop: Event | None) -> None:
        scrub(directory, here.home / "new", users=["u1"], items=[], edition=2)
        shutil.rmtree(directory)
        (here.home / "new").rename(directory)

    monkeypatch.setattr(local, "restore", rebuild)
    assert edition(local.fetch(here, "s", "v1")) == 0
    assert edition(local.fetch(here, "s", "v1", 2)) == 2
