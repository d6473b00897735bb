"""What our process of dvc commands does otherwise than dvc's own."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pygit2
import pygit2.blob
import pytest

from pipelines.repository.dvc_commands import read_at_once

CONTENT = b"outs:\n- md5: 0123\n" * 9_999


@pytest.mark.parametrize("as_path", [None, "data.dvc"])
def test_a_file_of_a_tag_is_read_without_a_thread_to_wait_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_path: str | None
) -> None:
    (tmp_path / "data.dvc").write_bytes(CONTENT)
    (tmp_path / "empty").touch()
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    repository = pygit2.Repository(tmp_path)
    repository.index.read()
    monkeypatch.setattr(pygit2.blob, "_BlobIO", read_at_once)
    before = threading.active_count()

    for name, content in (("data.dvc", CONTENT), ("empty", b"")):
        with pygit2.BlobIO(repository[repository.index[name].id], as_path=as_path) as file:
            assert threading.active_count() == before
            assert file.read() == content
