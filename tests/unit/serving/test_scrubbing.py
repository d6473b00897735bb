"""An artefact without some users: nothing of them is left in its bytes, and everybody else gets what they got."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.serving.artefact import Artefact
from pipelines.serving.asked import Asked
from pipelines.serving.recommender import Recommender
from pipelines.serving.scrubbing import edition, only_theirs, scrub
from tests.support.artefacts import make_artefact
from tests.support.filtered_shop import ShopData

GONE = "somebody-3"
KINDS = [{"kind": "encoder"}, {"kind": "encoder", "side": True}, {"kind": "neighbours"}, {"kind": "popular"}]


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


@pytest.fixture(params=KINDS, ids=["encoder", "side", "neighbours", "popular"])
def any_kind(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return make_artefact(tmp_path / "source", users=10, items=40, events=4, user_prefix="somebody-", **request.param)


def test_every_kind_goes_on_without_them(any_kind: Path, tmp_path: Path) -> None:
    items = only_theirs(any_kind, [GONE])
    scrub(any_kind, tmp_path / "target", users=[GONE], items=items, edition=1)
    before, after = (Recommender(Artefact.open(path)) for path in (any_kind, tmp_path / "target"))
    assert not any(GONE.encode() in file.read_bytes() for file in (tmp_path / "target").iterdir())
    assert {name: before.artefact.manifest[name] for name in ("kind", "explores", "scores")} == {
        name: after.artefact.manifest[name] for name in ("kind", "explores", "scores")
    }
    stays = [item for item in before.artefact.items.ids(range(40)) if item not in items]
    for user in ("somebody-0", "somebody-2", "somebody-9", "unknown"):
        for item in stays[:3]:
            asked = Asked(user, item_id=item, context={"DEVICE": "tv"})
            expected = [one.item_id for one in before.recommend(asked, 40) if one.item_id not in items]
            assert [one.item_id for one in after.recommend(asked, 40)] == expected
    asked = Asked(item_id=stays[0], context={"DEVICE": "tv"})
    assert after.recommend(replace(asked, user_key=GONE), 10) == after.recommend(replace(asked, user_key="new"), 10)


def test_what_was_known_of_them_goes_and_of_the_others_stays(tmp_path: Path) -> None:
    source = make_artefact(tmp_path / "source", users=10, events=4, side=True)
    items = only_theirs(source, ["u1", "u4"])
    scrub(source, tmp_path / "target", users=["u1", "u4"], items=items, edition=1)
    before, after = (Artefact.open(path) for path in (source, tmp_path / "target"))
    assert before.side is not None and after.side is not None
    assert (after.side.user_bags.rows, after.side.item_bags.rows) == (8, 40 - len(items))
    for user in ("u0", "u2", "u9"):
        old, new = before.users.code(user), after.users.code(user)
        assert old is not None and new is not None
        assert [part.tolist() for part in before.side.user_bags.row(old)] == [
            part.tolist() for part in after.side.user_bags.row(new)
        ]
    stays = after.items.id(9)
    old, new = before.items.code(stays), after.items.code(stays)
    assert old is not None and new is not None
    assert before.side.item_bags.row(old)[0].tolist() == after.side.item_bags.row(new)[0].tolist()


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


def test_what_filters_read_of_them_goes_and_of_the_others_stays(tmp_path: Path) -> None:
    shop = ShopData(
        items=[{"BRAND": brand} for brand in ("both", "only i1")],
        users=[{"TIER": "gold", "COUNTRY": "theirs alone"}, {"TIER": "gold"}],
        events={"u0": [("i0", "purchase"), ("i1", "view")], "u1": [("i0", "view")]},
    )
    source = make_artefact(tmp_path / "source", items=2, users=2, filter_data=shop.filter_data())
    scrub(source, tmp_path / "after", users=["u0"], items=["i1"], edition=1)
    assert not any(b"theirs alone" in file.read_bytes() for file in (tmp_path / "after").iterdir())
    data = Artefact.open(tmp_path / "after").filter_data
    assert data is not None
    tier, brand = data.users.by_name["TIER"], data.items.by_name["BRAND"]
    assert (tier.cell(0), brand.cell(0), tier.rows, brand.rows) == (["gold"], ["both"], 1, 1)
    touched = data.touched
    assert (touched.offsets.tolist(), touched.items.tolist(), touched.codes.tolist()) == ([0, 1], [0], [2])
