"""Batch inference jobs on a real registry, from request to files: what is written, what a crash leaves, what is refused."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pipelines.batch import files, inference, inputs, processes
from pipelines.batch.errors import BatchRefused
from pipelines.batch.inference import infer
from pipelines.batch.mark import Mark
from pipelines.datasets.errors import ExportRefused, ImportRefused
from pipelines.serving.asked import Asked
from pipelines.settings import Settings
from tests.support.batch import NO_EXPLORATION, add_job, answers, look, write_lines
from tests.support.runtime import Shop


@pytest.fixture
def data(settings: Settings) -> Path:
    return settings.home / "data"


def users(count: int) -> list[dict[str, str]]:
    return [{"userId": f"u{n}"} for n in range(count)]


def test_every_file_of_a_folder_is_answered_in_a_file_of_its_own(shop: Shop, data: Path) -> None:
    version = shop.add_version(items=30)
    write_lines(data / "in" / "a.json", ["", *users(3), "  ", "nonsense", {"userId": "nobody"}])
    write_lines(data / "in" / "deeper" / "b.jsonl", [b"\xef\xbb\xbf" + b'{"userId": "u1"}', "{}"])
    (data / "in" / "none.json").touch()
    asked = add_job(
        shop, version, (data / "in").as_uri(), (data / "out").as_uri(), batchInferenceJobConfig=NO_EXPLORATION
    )
    infer(shop.settings, asked.id)
    assert sorted(path.name for path in (data / "out").iterdir()) == ["a.json.out", "b.jsonl.out", "none.json.out"]
    done = look(shop, asked)
    assert (done.status, done.internal["lines"], done.internal["failed"]) == ("ACTIVE", 9, 2)
    first, *_, nonsense, nobody = answers(data / "out" / "a.json.out")
    expected = version.recommender.recommend(Asked("u0"), 5)
    assert first == {
        "input": {"userId": "u0"},
        "output": {"recommendedItems": [one.item_id for one in expected], "scores": [one.score for one in expected]},
        "error": None,
    }
    assert (nonsense["input"], nonsense["output"], "not JSON" in nonsense["error"]) == ("nonsense", None, True)
    assert nobody["output"]["recommendedItems"] == ["i0", "i1", "i2", "i3", "i4"], "what is popular"
    marked, empty = answers(data / "out" / "b.jsonl.out")
    assert marked["output"]["recommendedItems"] and "userId is required" in empty["error"]
    assert (data / "out" / "none.json.out").read_bytes() == b""
    assert not (shop.settings.batch_dir / asked.id).exists()
    infer(shop.settings, asked.id)  # a run that comes late


def test_a_crash_in_the_middle_does_not_show_in_the_files(
    shop: Shop, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "CHUNK_LINES", 25)
    # New items: what chance does to a list must be the same the second time.
    version = shop.add_version(items=60, created=1_600_000_000)
    for name in ("a", "b"):
        write_lines(data / "in" / f"{name}.json", users(95))
    undisturbed, disturbed = (
        add_job(shop, version, (data / "in").as_uri(), (data / name).as_uri(), name) for name in ("whole", "torn")
    )
    monkeypatch.setattr(inference, "_seed", lambda _resource: "one-seed")
    infer(shop.settings, undisturbed.id)
    save = Mark.save

    def dies(self: Mark, path: Path) -> None:
        if self.file == 1 and self.line == 51:
            raise KeyboardInterrupt
        save(self, path)

    monkeypatch.setattr(Mark, "save", dies)
    with pytest.raises(KeyboardInterrupt):
        infer(shop.settings, disturbed.id)
    monkeypatch.setattr(Mark, "save", save)
    assert look(shop, disturbed).status == "CREATE IN_PROGRESS" and not (data / "torn").exists()
    # Neither what is streamed and written meanwhile nor another edition of the version changes anything.
    write_lines(data / "in" / "b.json", users(3))
    (version.directory / "manifest.json").unlink()
    infer(shop.settings, disturbed.id)
    for name in ("a.json.out", "b.json.out"):
        whole = (data / "whole" / name).read_bytes()
        assert (data / "torn" / name).read_bytes() == whole and len(answers(data / "whole" / name)) == 95
    assert look(shop, disturbed).internal["lines"] == 190


def test_from_bucket_to_bucket(shop: Shop, s3: Any) -> None:
    version = shop.add_version("sims", recipe_type="RELATED_ITEMS", kind="neighbours")
    s3.put_object(Bucket="shop", Key="in/items.json.gz", Body=gzip.compress(b'{"itemId": "i3"}\n{"userId": "u1"}'))
    asked = add_job(shop, version, "s3://shop/in/", "s3://shop/out")
    infer(shop.settings, asked.id)
    body = s3.get_object(Bucket="shop", Key="out/items.json.gz.out")["Body"].read()
    related, refused = map(json.loads, body.splitlines())
    assert len(related["output"]["recommendedItems"]) == 5 and set(related["output"]) == {"recommendedItems"}
    assert "itemId is required" in refused["error"]


def test_what_cannot_be_done_says_so(shop: Shop, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = shop.add_version()
    for folder in ("one", "two"):
        write_lines(data / "same" / folder / "x.json", users(1))
    filter = shop.add_filter("drama", 'INCLUDE ItemID WHERE Items.GENRES IN ("Drama")')
    good, out = write_lines(data / "good.json", users(2)).as_uri(), (data / "out").as_uri()
    write_lines(data / "file", [])
    monkeypatch.setattr(inputs, "MOST_LINES", 1)
    cases = [
        ({"source": (data / "none").as_uri()}, ImportRefused, "There is no file or folder"),
        ({"source": (data / "same").as_uri()}, BatchRefused, "would all be answered in x.json.out"),
        ({"source": good}, BatchRefused, "has 2 lines; a file has at most 1"),
        ({"source": good, "to": (data / "file").as_uri()}, ExportRefused, "is a file on the server"),
        (
            {"source": write_lines(data / "one.json", users(1)).as_uri(), "filterArn": filter},
            BatchRefused,
            "train anew",
        ),
    ]
    for number, (given, error, words) in enumerate(cases):
        asked = add_job(shop, version, **{"to": out, "name": f"job-{number}", **given})
        with pytest.raises(error, match=words):
            infer(shop.settings, asked.id)
        failed = look(shop, asked)
        assert failed.status == "CREATE FAILED" and words in (failed.failure_reason or "")
        assert not (shop.settings.batch_dir / asked.id).exists()


@pytest.mark.soak
def test_killed_at_any_moment_and_started_again(shop: Shop, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "MOST", 2)
    monkeypatch.setattr(inference, "_seed", lambda _resource: "one-seed")
    version = shop.add_version(items=2_000, dimension=64, created=1_600_000_000)
    write_lines(data / "in" / "a.json", [{"userId": f"u{n % 12}"} for n in range(10_000)])
    whole, torn = (
        add_job(shop, version, (data / "in").as_uri(), (data / name).as_uri(), name) for name in ("whole", "torn")
    )
    infer(shop.settings, whole.id)
    code = (
        "import sys; from pipelines.batch import inference; from pipelines.settings import Settings\n"
        "inference._seed = lambda _resource: 'one-seed'\n"
        "inference.infer(Settings.from_env(), sys.argv[1])"
    )
    env = {**os.environ, **shop.settings.to_env()}
    mark = shop.settings.batch_dir / torn.id / "output.mark"
    kills = 0
    while look(shop, torn).status != "ACTIVE":
        run = subprocess.Popen([sys.executable, "-c", code, torn.id], env=env)
        seen = Mark.load(mark).lines
        while run.poll() is None and (not mark.exists() or Mark.load(mark).lines < seen + 2_000):
            time.sleep(0.002)
        run.send_signal(signal.SIGKILL)
        kills += run.wait() == -signal.SIGKILL
    assert kills >= 3
    assert (data / "torn" / "a.json.out").read_bytes() == (data / "whole" / "a.json.out").read_bytes()
