"""Versions that answer by neighbours, and those with one list for everybody: no scores, never an error, never empty."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.serving.artefact import Artefact
from pipelines.serving.asked import Asked
from pipelines.serving.parts import Neighbours
from pipelines.serving.recommender import Recommender
from tests.support.artefacts import make_artefact


def opened(directory: Path, **made: str) -> Recommender:
    return Recommender(Artefact.open(make_artefact(directory, **made)))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def related(tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    return opened(tmp_path_factory.mktemp("r") / "artefact", kind="neighbours", recipe_type="RELATED_ITEMS")


@pytest.fixture(scope="module")
def popular(tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    return opened(tmp_path_factory.mktemp("p") / "artefact", kind="popular")


def ids(recommender: Recommender, asked: Asked, count: int) -> list[str]:
    answer = recommender.recommend(asked, count)
    assert all(scored.score is None for scored in answer)
    return [scored.item_id for scored in answer]


def neighbours_of(recommender: Recommender, item: int) -> list[str]:
    table = recommender.artefact.answers
    assert isinstance(table, Neighbours)
    return [f"i{code}" for code in table.items[item].tolist() if code >= 0]


def test_the_neighbours_come_first_in_their_order(related: Recommender) -> None:
    for item in (0, 1, 2, 30):
        assert ids(related, Asked(item_id=f"i{item}"), 4) == neighbours_of(related, item)[:4]


def test_what_is_popular_follows_the_neighbours_and_the_item_itself_is_left_out(related: Recommender) -> None:
    for item in (0, 5, 38):
        found = neighbours_of(related, item)
        others = [f"i{n}" for n in range(40) if n != item and f"i{n}" not in found]
        assert ids(related, Asked(item_id=f"i{item}"), 500) == found + others


def test_an_item_without_neighbours_gets_what_is_popular_without_itself(related: Recommender) -> None:
    assert ids(related, Asked(item_id="i39"), 500) == [f"i{n}" for n in range(39)]


@pytest.mark.parametrize("item", ["no-such", None])
def test_an_unknown_item_gets_what_is_popular(related: Recommender, item: str | None) -> None:
    assert ids(related, Asked(item_id=item), 500) == [f"i{n}" for n in range(40)]


def test_neither_user_nor_events_change_what_is_related(related: Recommender) -> None:
    asked = Asked("u1", [("i9", 1.7e9)], item_id="i3", context={"DEVICE": "tv"}, user_record={"AGE": "3"})
    assert ids(related, asked, 25) == ids(related, Asked(item_id="i3"), 25)


def test_an_item_that_is_its_own_neighbour_is_left_out_all_the_same(related: Recommender) -> None:
    table = related.artefact.answers
    assert isinstance(table, Neighbours)
    rows = table.items.copy()
    rows[3, 0] = 3
    own = Recommender(Artefact(**{**vars(related.artefact), "answers": Neighbours(rows, table.similarities)}))
    assert ids(own, Asked(item_id="i3"), 500).count("i3") == 0


def test_the_order_of_neighbours_survives_popularity_of_any_size(related: Recommender) -> None:
    huge = np.float32(1e9) * np.linspace(1, -1, 40, dtype=np.float32)
    other = Recommender(Artefact(**{**vars(related.artefact), "popularity": huge}))
    assert ids(other, Asked(item_id="i3"), 5)[:4] == neighbours_of(related, 3)[:4]


def test_the_only_item_has_no_related_ones(tmp_path: Path) -> None:
    single = Recommender(Artefact.open(make_artefact(tmp_path / "a", kind="neighbours", items=1)))
    assert single.recommend(Asked(item_id="i0"), 25) == []


def test_what_is_popular_is_the_same_for_everybody(popular: Recommender) -> None:
    for asked in (Asked(), Asked("u1"), Asked("s", [("i9", 1.7e9)]), Asked(context={"DEVICE": "tv"})):
        assert ids(popular, asked, 500) == [f"i{n}" for n in range(40)]
    assert not popular.artefact.is_personal and not popular.artefact.explores
