"""Files about the work: overwritten in place, searched in every form."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.deletions import files
from pipelines.deletions.matching import Matcher
from tests.support.searching import files_with, objects_with
from tests.unit.deletions.conftest import OTHERS, PLANTED

MATCHER = Matcher([PLANTED])


def test_a_log_that_is_open_goes_on_in_the_same_file(tmp_path: Path) -> None:
    log = tmp_path / "process.log"
    with log.open("a") as process:
        process.write(f"before {PLANTED} after\n")
        process.flush()
        inode = log.stat().st_ino
        found = files.black_out([tmp_path], MATCHER)
        process.write("and on it goes\n")
    assert (found.found, log.stat().st_ino) == (1, inode)
    assert log.read_text() == f"before {'x' * 32} after\nand on it goes\n"


@pytest.mark.parametrize("at", range(-40, 10, 7))
def test_an_id_across_two_chunks_is_found_once(tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "CHUNK", 100)
    text = ("." * (200 + at) + PLANTED).ljust(500, ".")
    (tmp_path / "log").write_text(text)
    assert files.black_out([tmp_path], MATCHER).found == 1
    assert (tmp_path / "log").read_text() == text.replace(PLANTED, "x" * 32)


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "theirs.csv").write_text(PLANTED)
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "link.csv").symlink_to(tmp_path / "theirs.csv")
    assert files.black_out([tmp_path / "work"], MATCHER).files == 0
    assert (tmp_path / "theirs.csv").read_text() == PLANTED


def every_form(folder: Path) -> list[Path]:
    """A file of each kind that can hold the id."""
    data, image = PLANTED.encode(), io.BytesIO()
    with tarfile.open(fileobj=image, mode="w") as archive:
        member = tarfile.TarInfo("inner")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    (folder / "a.tar").write_bytes(image.getvalue())
    (folder / "b.tar.gz").write_bytes(gzip.compress(image.getvalue()))
    (folder / "c.log.gz").write_bytes(gzip.compress(data))
    with zipfile.ZipFile(folder / "d.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("inner", data)
    np.savez_compressed(folder / "e.npz", ids=np.frombuffer(data, np.uint8))
    np.save(folder / "f.npy", np.frombuffer(data, np.uint8))
    ids = pa.array([OTHERS + "0", PLANTED] * 1000).dictionary_encode().cast(pa.string())
    pq.write_table(pa.table({"id": ids}), folder / "g.parquet", compression="zstd")
    (folder / "h.onnx").write_bytes(os.urandom(100) + data)
    (folder / "i.json").write_bytes(b'{"a": "' + data + b'"}')
    return sorted(folder.iterdir())


def test_the_id_is_found_in_every_form_by_the_proof_and_by_the_searcher_of_the_tests(tmp_path: Path) -> None:
    paths = every_form(tmp_path)
    assert files.search(paths, MATCHER).where == paths
    assert files_with(PLANTED, tmp_path) == list(map(str, paths))


def test_a_search_counts_what_it_has_seen_and_changes_nothing(tmp_path: Path) -> None:
    paths = every_form(tmp_path)
    before = [path.read_bytes() for path in paths]
    searched = files.search(paths, MATCHER)
    assert (searched.files, searched.size) == (9, sum(map(len, before)))
    assert [path.read_bytes() for path in paths] == before


def test_the_searcher_of_the_tests_finds_an_object_that_no_tag_names(tmp_path: Path) -> None:
    import subprocess

    def git(*command: str, **given: Any) -> None:
        subprocess.run(["git", *command], check=True, cwd=tmp_path, stdout=subprocess.DEVNULL, **given)

    git("init", "--quiet", "--bare", "repo.git")
    assert objects_with(PLANTED, tmp_path) == []
    git("-C", "repo.git", "hash-object", "-w", "--stdin", input=f"of {PLANTED}".encode())
    assert objects_with(PLANTED, tmp_path) == [str(tmp_path / "repo.git")]
