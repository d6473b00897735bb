"""What earlier code has trained is served by the code of today, with the same scores (data/README.md)."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pipelines.serving.artefact import FORMAT, Artefact
from pipelines.serving.asked import Asked
from pipelines.serving.recommender import Recommender
from pipelines.serving.scrubbing import edition, scrub

DATA = Path(__file__).parent / "data"
ARCHIVES = sorted(DATA.glob("*.zip"))


def unpacked(archive: Path, folder: Path) -> tuple[Path, dict[str, Any]]:
    with zipfile.ZipFile(archive) as files:
        files.extractall(folder)
    return folder / "artefact", json.loads((folder / "answers.json").read_text())


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.stem)
def test_an_older_artefact_answers_as_it_did(archive: Path, tmp_path: Path) -> None:
    artefact, answers = unpacked(archive, tmp_path)
    recommender = Recommender(Artefact.open(artefact))
    for user, told in answers.items():
        asked = Asked(user, [(item, at) for item, at in told["streamed"]], told.get("item"))
        found = recommender.recommend(asked, 12)
        assert [one.item_id for one in found] == [item for item, _ in told["answer"]]
        # Another machine's matrix product may differ in the last digit that is published.
        assert [one.score for one in found] == [pytest.approx(score, abs=2e-7) for _, score in told["answer"]]


def test_every_format_that_was_written_is_tried() -> None:
    assert {path.stem.split("-")[1] for path in ARCHIVES} == {str(number) for number in range(1, FORMAT + 1)}


def test_users_can_be_deleted_from_an_older_artefact(tmp_path: Path) -> None:
    artefact, _ = unpacked(DATA / "format-1.zip", tmp_path)
    scrub(artefact, tmp_path / "after", users=["u1"], items=[], edition=1)
    assert edition(tmp_path / "after") == 1
    assert not Artefact.open(tmp_path / "after").explores
