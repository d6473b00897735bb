"""A job that would not fit is refused with a sentence that a person can act on."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines import disk


def free(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda path: count)


def test_job_that_fits_beside_the_reserve_is_let_through(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    free(monkeypatch, disk.RESERVE_BYTES + 1000)

    disk.require_disk(tmp_path, 1000)


def test_job_that_would_eat_the_reserve_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    free(monkeypatch, disk.RESERVE_BYTES + 999)

    with pytest.raises(disk.DiskFull, match="not enough disk space"):
        disk.require_disk(tmp_path, 1000)


def test_refusal_names_need_place_and_what_is_free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    free(monkeypatch, 2_000_000)

    with pytest.raises(disk.DiskFull) as refusal:
        disk.require_disk(tmp_path, 3_400_000_000)

    text = str(refusal.value)
    assert "3.4 GB" in text
    assert "2.0 MB" in text
    assert str(tmp_path) in text
    assert "OPENPERSONALIZE_HOME" in text


def test_free_bytes_of_a_folder_that_is_not_there_yet_is_its_parents_disk(tmp_path: Path) -> None:
    assert disk.free_bytes(tmp_path / "not" / "yet") > 0
