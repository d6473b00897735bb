"""Scores are what spec/recipes.md section 2 says: probabilities that sum to 1, in the order of the answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pipelines.serving.artefact import Artefact
from pipelines.serving.asked import Asked
from pipelines.serving.ordering import softmax, top
from pipelines.serving.recommender import Recommender, Scored
from tests.support.artefacts import make_artefact

NOBODY = "nobody"


@pytest.fixture(scope="module")
def recommender(tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    return Recommender(Artefact.open(make_artefact(tmp_path_factory.mktemp("a") / "artefact")))


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    """500 items, so that numResults=500 answers the whole catalogue."""
    return Recommender(Artefact.open(make_artefact(tmp_path_factory.mktemp("w") / "artefact", items=500)))


def ids(answer: list[Scored]) -> list[str]:
    return [scored.item_id for scored in answer]


def assert_sums_to_one(answer: list[Scored]) -> None:
    scores = [scored.score for scored in answer if scored.score is not None]
    assert abs(sum(scores) - 1) <= len(scores) * 5e-8 + 1e-7


@pytest.mark.parametrize("user", ["u0", "u1", NOBODY])
def test_scores_over_the_whole_catalogue_sum_to_one(wide: Recommender, user: str) -> None:
    answer = wide.recommend(Asked(user, [("i3", 1.7e9)]), 500)
    assert len(set(ids(answer))) == 500
    assert_sums_to_one(answer)


def test_scores_fall_and_have_seven_decimals(wide: Recommender) -> None:
    scores = [scored.score for scored in wide.recommend(Asked("u0"), 500)]
    assert scores == sorted(scores, reverse=True)
    assert all(score == round(score, 7) for score in scores)


def test_a_score_is_the_softmax_of_the_inner_product_plus_the_repeat_term(recommender: Recommender) -> None:
    artefact = recommender.artefact
    codes, _ = artefact.history(artefact.users.code("u0"))
    logits = artefact.answers.item_matrix.astype(float) @ artefact.answers.item_matrix[codes].mean(axis=0)
    logits[np.unique(codes)] -= 1.0
    expected = np.exp(logits) / np.exp(logits).sum()
    for scored in recommender.recommend(Asked("u0"), 40):
        assert scored.score == pytest.approx(expected[artefact.items.code(scored.item_id)], abs=1e-6)


def test_fewer_items_than_asked_for_answers_all(recommender: Recommender) -> None:
    assert len(recommender.recommend(Asked("u0"), 500)) == 40


def test_an_unknown_user_gets_what_is_popular(recommender: Recommender) -> None:
    answer = recommender.recommend(Asked(NOBODY), 3)
    assert ids(answer) == ["i0", "i1", "i2"]
    weights = 1 + np.arange(40, 0, -1)
    assert [scored.score for scored in answer] == pytest.approx(weights[:3] / weights.sum(), abs=1e-7)


def test_only_unknown_streamed_items_change_nothing(recommender: Recommender) -> None:
    assert recommender.recommend(Asked(NOBODY, [("no-such-item", 1.7e9)]), 5) == recommender.recommend(Asked(NOBODY), 5)


def test_an_unknown_streamed_item_is_skipped_beside_known_ones(recommender: Recommender) -> None:
    mixed = recommender.recommend(Asked("u1", [("new", 3.0), ("i7", 2.0), ("newer", 1.0)]), 5)
    assert mixed == recommender.recommend(Asked("u1", [("i7", 2.0)]), 5)


def test_every_streamed_event_moves_the_list(recommender: Recommender) -> None:
    streamed: list[tuple[str, float]] = []
    answers = [recommender.recommend(Asked("session-1", streamed), 10)]
    for item in ("i5", "i9", "i30"):
        streamed.insert(0, (item, 1.7e9 + len(streamed)))
        answers.append(recommender.recommend(Asked("session-1", streamed), 10))
    assert all(before != after for before, after in pairwise(answers))


def test_streamed_events_come_behind_the_imported_history_in_their_order(recommender: Recommender) -> None:
    imported, _ = recommender.history("u0", [])
    codes, times = recommender.history("u0", [("i9", 20.0), ("i5", 10.0)])
    assert list(codes) == [*imported, 5, 9]
    assert list(times[-2:]) == [10.0, 20.0]


def test_only_the_newest_events_are_looked_at(recommender: Recommender) -> None:
    streamed = [(f"i{n}", 1000.0 - n) for n in range(30)]
    codes, _ = recommender.history("u0", streamed)
    assert list(codes) == list(range(19, -1, -1))


def test_a_ranking_sums_to_one_over_the_known_items(recommender: Recommender) -> None:
    answer = recommender.rank(Asked("u0"), ["i3", "nope", "i9", "i1"])
    assert_sums_to_one(answer)
    assert sum(scored.score is not None for scored in answer) == 3


def test_unknown_items_end_a_ranking_in_their_order_without_score(recommender: Recommender) -> None:
    answer = recommender.rank(Asked("u0"), ["z", "i3", "a", "i9", "m"])
    assert answer[2:] == [Scored("z", None), Scored("a", None), Scored("m", None)]


def test_a_ranking_orders_as_the_recommendations_do(recommender: Recommender) -> None:
    wanted = [f"i{n}" for n in range(40)]
    assert ids(recommender.rank(Asked("u0"), wanted)) == ids(recommender.recommend(Asked("u0"), 40))


def test_a_ranking_answers_a_duplicate_once(recommender: Recommender) -> None:
    assert sorted(ids(recommender.rank(Asked("u0"), ["i2", "i1", "i2", "x", "x"]))) == ["i1", "i2", "x"]


def test_a_ranking_of_unknown_items_only_has_no_scores(recommender: Recommender) -> None:
    assert recommender.rank(Asked("u0"), ["b", "a"]) == [Scored("b", None), Scored("a", None)]


def test_threads_get_the_same_answers(recommender: Recommender) -> None:
    asked = [f"u{n % 10}" for n in range(200)]
    alone = [recommender.recommend(Asked(user, [("i1", 5.0)]), 25) for user in asked]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda user: recommender.recommend(Asked(user, [("i1", 5.0)]), 25), asked))
    assert together == alone


def test_equal_logits_keep_the_order_of_the_catalogue() -> None:
    logits = np.array([1, 2, 2, 0, 2, 1], np.float32)
    assert list(top(logits, 2)) == [1, 2]
    assert list(top(logits, 5)) == [1, 2, 4, 0, 5]


def test_softmax_of_far_apart_logits_is_finite_and_sums_to_one() -> None:
    scores = softmax(np.array([3000, -3000, 0], np.float32))
    assert scores.sum() == pytest.approx(1, abs=1e-15)
    assert scores[0] == 1.0


def test_nothing_is_asked_of_torch(tmp_path: Path) -> None:
    import subprocess
    import sys

    make_artefact(tmp_path / "a")
    code = (
        "import sys; from pipelines.serving.recommender import Recommender; "
        "from pipelines.serving.artefact import Artefact; from pipelines.serving.asked import Asked; "
        f"Recommender(Artefact.open({str(tmp_path / 'a')!r})).recommend(Asked('u0'), 5); "
        "print([m for m in ('torch', 'pandas', 'sqlalchemy', 'airflow') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
