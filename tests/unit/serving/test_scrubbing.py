"""An artefact without some users: nothing of them is left in its bytes, and everybody else gets what they got."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipelines.serving.artefact import Artefact
from pipelines.serving.asked import Asked
from pipelines.serving.recommender import Recommender
from pipelines.serving.scrubbing import edition, only_theirs, scrub
from tests.support.artefacts import make_artefact

GONE = "somebody-3"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_artefact(tmp_path / "source", users=10, items=40, events=4, user_prefix="somebody-")


def test_the_id_is_in_no_file_and_the_user_s_events_are_gone(source: Path, tmp_path: Path) -> None:
    assert any(GONE.encode() in file.read_bytes() for file in source.iterdir())
    done = scrub(source, tmp_path / "target", users=[GONE, "unknown"], items=[], edition=1)
    assert (done.users, done.events, done.items) == (1, 4, 0)
    assert not any(GONE.encode() in file.read_bytes() for file in (tmp_path / "target").iterdir())
    assert Artefact.open(tmp_path / "target").users.code(GONE) is None


def test_everybody_else_is_recommended_the_same_with_the_same_scores(source: Path, tmp_path: Path) -> None:
    scrub(source, tmp_path / "target", users=[GONE], items=[], edition=1)
    before, after = (Recommender(Artefact.open(path)) for path in (source, tmp_path / "target"))
    for user in ("somebody-0", "somebody-9"):
        assert after.recommend(Asked(user), 10) == before.recommend(Asked(user), 10)
    assert after.recommend(Asked(GONE), 10) == after.recommend(Asked("unknown"), 10)


def test_an_item_that_only_they_touched_goes_and_scores_still_sum_to_one(source: Path, tmp_path: Path) -> None:
    items = only_theirs(source, [GONE])
    assert items, "the made-up histories should have one"
    scrub(source, tmp_path / "target", users=[GONE], items=items, edition=1)
    before, after = (Recommender(Artefact.open(path)) for path in (source, tmp_path / "target"))
    answer = after.recommend(Asked("somebody-0"), 40)
    assert len(answer) == 40 - len(items)
    assert sum(one.score or 0 for one in answer) == pytest.approx(1, abs=1e-5)
    expected = [one.item_id for one in before.recommend(Asked("somebody-0"), 40) if one.item_id not in items]
    assert [one.item_id for one in answer] == expected


def test_items_of_others_too_are_not_only_theirs(source: Path) -> None:
    everybody = [f"somebody-{n}" for n in range(10)]
    others = Artefact.open(source)
    touched = {code for n in range(10) if n != 3 for code in others.history(n)[0].tolist()}
    assert not touched & set(others.items.codes(only_theirs(source, [GONE])))
    assert len(only_theirs(source, everybody)) == len(np.unique(others.histories.items))


def test_the_manifest_keeps_what_was_said_and_counts_the_editions(source: Path, tmp_path: Path) -> None:
    scrub(source, tmp_path / "one", users=[GONE], items=[], edition=1)
    scrub(tmp_path / "one", tmp_path / "two", users=["somebody-4"], items=[], edition=2)
    assert [edition(path) for path in (source, tmp_path / "one", tmp_path / "two")] == [0, 1, 2]
    manifest = json.loads((tmp_path / "two" / "manifest.json").read_text())
    assert manifest["metrics"] == json.loads((source / "manifest.json").read_text())["metrics"]
    assert manifest["users"] == 8


def test_a_model_whose_every_item_was_theirs_can_still_be_opened(tmp_path: Path) -> None:
    source = make_artefact(tmp_path / "source", users=1, items=3, events=30)
    scrub(source, tmp_path / "target", users=["u0"], items=["i0", "i1", "i2"], edition=1)
    assert len(Artefact.open(tmp_path / "target").items) == 3
