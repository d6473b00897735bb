"""What is known of users and situations moves their lists; what is not known changes nothing and never fails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.serving.artefact import Artefact
from pipelines.serving.asked import Asked
from pipelines.serving.recommender import Recommender
from pipelines.serving.vocabulary import Column, Vocabulary
from tests.support.artefacts import make_artefact

EVENTS = [("i7", 1.7e9), ("i3", 1.6e9)]
# Rows of the side's matrix: GENDER f, m; AGE below 25, below 45, above; DEVICE phone, tv, phone|tv.
F, M, YOUNG, GROWN, OLD, PHONE, TV, BOTH = range(8)


@pytest.fixture(scope="module")
def recommender(tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    return Recommender(Artefact.open(make_artefact(tmp_path_factory.mktemp("side") / "artefact", side=True)))


def side_of(recommender: Recommender, *rows: int) -> np.ndarray:
    side = recommender.artefact.side
    assert side is not None
    return recommender.artefact.answers.item_matrix @ side.matrix[list(rows)].sum(axis=0)  # type: ignore[union-attr]


def close(found: np.ndarray, expected: np.ndarray) -> bool:
    return bool(np.allclose(found, expected, atol=1e-5))


def test_a_user_without_events_gets_what_is_popular_shaped_by_metadata_and_context(recommender: Recommender) -> None:
    asked = Asked("new", user_record={"GENDER": "m", "AGE": "30"}, context={"DEVICE": "tv"})
    assert close(recommender.logits(asked), recommender.artefact.popularity + side_of(recommender, M, GROWN, TV))


def test_a_user_of_whom_nothing_is_known_gets_what_is_popular(recommender: Recommender) -> None:
    assert recommender.logits(Asked("new")) is recommender.artefact.popularity
    assert [scored.item_id for scored in recommender.recommend(Asked("new"), 3)] == ["i0", "i1", "i2"]


def test_metadata_and_context_join_the_history(recommender: Recommender) -> None:
    alone = recommender.logits(Asked("new", EVENTS))
    asked = Asked("new", EVENTS, user_record={"AGE": 80}, context={"DEVICE": "phone"})
    assert close(recommender.logits(asked), alone + side_of(recommender, OLD, PHONE))


def test_training_knew_its_users(recommender: Recommender) -> None:
    plain, known = recommender.logits(Asked("u1", user_record={})), recommender.logits(Asked("u1"))
    assert close(known, plain + side_of(recommender, M, YOUNG))
    assert close(recommender.logits(Asked("u2")), recommender.logits(Asked("u2", user_record={})))


def test_a_user_whom_training_knew_by_metadata_only_gets_what_is_popular_shaped_by_it(tmp_path: Path) -> None:
    quiet = Recommender(Artefact.open(make_artefact(tmp_path / "quiet", side=True, events=0)))
    assert close(quiet.logits(Asked("u1")), quiet.artefact.popularity + side_of(quiet, M, YOUNG))
    assert quiet.logits(Asked("u2")) is quiet.artefact.popularity


def test_a_streamed_record_takes_the_place_of_the_trainings_as_a_whole(recommender: Recommender) -> None:
    plain = recommender.logits(Asked("u1", user_record={}))
    assert close(recommender.logits(Asked("u1", user_record={"GENDER": "f"})), plain + side_of(recommender, F))


def test_two_categories_of_one_cell_weigh_as_one(recommender: Recommender) -> None:
    both = recommender.logits(Asked("new", user_record={"GENDER": "f|m"}))
    assert close(both, recommender.artefact.popularity + side_of(recommender, F, M) / np.sqrt(2))


def test_a_cell_of_the_context_is_one_value_also_with_a_separator(recommender: Recommender) -> None:
    found = recommender.logits(Asked("new", context={"DEVICE": "phone|tv"}))
    assert close(found, recommender.artefact.popularity + side_of(recommender, BOTH))


@pytest.mark.parametrize(
    "asked",
    [
        {"context": {"NO_SUCH": "x"}},
        {"context": {"DEVICE": "fridge"}},
        {"context": {"device": "phone"}},
        {"context": {"DEVICE": ""}},
        {"user_record": {}},
        {"user_record": {"GENDER": None, "AGE": None}},
        {"user_record": {"GENDER": "x", "AGE": "old", "INCOME": "7"}},
        {"user_record": {"AGE": "nan"}},
    ],
)
def test_what_is_unknown_changes_nothing(recommender: Recommender, asked: dict[str, dict[str, str]]) -> None:
    assert close(recommender.logits(Asked("new", EVENTS, **asked)), recommender.logits(Asked("new", EVENTS)))
    assert close(recommender.logits(Asked("new", **asked)), recommender.artefact.popularity)


def test_a_version_without_a_side_ignores_context_and_records(tmp_path: Path) -> None:
    recommender = Recommender(Artefact.open(make_artefact(tmp_path / "plain")))
    asked = Asked("u1", context={"DEVICE": "tv"}, user_record={"GENDER": "f"})
    assert recommender.recommend(asked, 5) == recommender.recommend(Asked("u1"), 5)
    assert recommender.artefact.user_columns == ()


def test_scores_with_a_side_sum_to_one(recommender: Recommender) -> None:
    for asked in (Asked("u0", context={"DEVICE": "tv"}), Asked("new", context={"DEVICE": "tv"})):
        assert sum(scored.score or 0 for scored in recommender.recommend(asked, 500)) == pytest.approx(1, abs=1e-5)
        ranked = recommender.rank(asked, ["i1", "i2", "i3"])
        assert sum(scored.score or 0 for scored in ranked) == pytest.approx(1, abs=1e-6)


def test_the_columns_of_users_that_count_are_those_with_values(recommender: Recommender) -> None:
    assert recommender.artefact.user_columns == ("GENDER", "AGE")


def test_a_situation_has_at_most_one_value_of_each_column() -> None:
    vocabulary = Vocabulary((Column("A", "category", ("x", "y")), Column("N", "number", edges=(1.0,))))
    assert vocabulary.situation({"A": "y", "N": "5", "B": "x"}).tolist() == [1, 3]
    assert vocabulary.situation({"A": "x|y", "N": "many"}).tolist() == []
    assert Vocabulary().situation({"A": "x"}).tolist() == []
