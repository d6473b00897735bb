"""Why: each gain is the logarithm of two scores' ratio, and the second score is really that without the thing."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.serving.artefact import Artefact, LoadedEncoding
from pipelines.serving.asked import Asked
from pipelines.serving.exploration import Exploration, explore
from pipelines.serving.ordering import softmax
from pipelines.serving.recommender import Recommender, Scored
from pipelines.serving.why import EVENTS, Kind, Reason, UnknownItem, explain
from tests.support.artefacts import make_artefact

STREAMED = [("i7", 3.0), ("i2", 2.0), ("i30", 1.0)]


@pytest.fixture(scope="module")
def recommender(tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    """With metadata of items and users, and context; its users' vectors do not end with 1, so there is no bias."""
    return Recommender(
        Artefact.open(make_artefact(tmp_path_factory.mktemp("why") / "artefact", side=True, created=1_600_000_000))
    )


def encoding_of(recommender: Recommender) -> LoadedEncoding:
    answers = recommender.artefact.answers
    assert isinstance(answers, LoadedEncoding)
    return answers


def with_encoding(recommender: Recommender, **changed: object) -> Recommender:
    """The same version with other parts."""
    return Recommender(replace(recommender.artefact, answers=replace(encoding_of(recommender), **changed)))


def log_score(recommender: Recommender, asked: Asked, item_id: str) -> float:
    code = recommender.artefact.items.code(item_id)
    return math.log(softmax(recommender.logits(asked))[code])


def gain(reason: Reason, kind: Kind, name: str | None = None) -> float:
    return next(push.value for push in reason.pushes if push.kind == kind and name in (None, push.name))


@pytest.mark.parametrize(
    "asked",
    [Asked("u1"), Asked("new", STREAMED), Asked("nobody"), Asked("u4", STREAMED, context={"DEVICE": "tv"})],
    ids=["trained", "streamed", "nobody", "both"],
)
def test_items_ranks_and_scores_are_those_of_the_answer(recommender: Recommender, asked: Asked) -> None:
    reasons = explain(recommender, asked, 10)
    answered = [Scored(one.item_id, one.score) for one in recommender.recommend(asked, 10)]
    assert [Scored(reason.item_id, reason.score) for reason in reasons] == answered
    assert [reason.rank for reason in reasons] == list(range(1, 11))
    assert [explain(recommender, asked, 1, reason.item_id)[0] for reason in reasons] == reasons


def test_an_event_is_worth_what_the_score_loses_without_it(recommender: Recommender) -> None:
    [reason] = explain(recommender, Asked("new", STREAMED), 1)
    without = Asked("new", [event for event in STREAMED if event[0] != "i2"])
    lost = log_score(recommender, Asked("new", STREAMED), reason.item_id) - log_score(
        recommender, without, reason.item_id
    )
    assert gain(reason, "event", "i2") == pytest.approx(lost, abs=1e-6)
    assert {push.name for push in reason.pushes if push.kind == "event"} == {"i7", "i2", "i30"}


def test_all_events_with_an_item_go_together_and_its_repeat_term_with_them(recommender: Recommender) -> None:
    twice = Asked("new", [("i7", 3.0), ("i2", 2.0), ("i7", 1.0)])
    [reason] = explain(recommender, twice, 1, "i7")
    lost = log_score(recommender, twice, "i7") - log_score(recommender, Asked("new", [("i2", 2.0)]), "i7")
    assert gain(reason, "event", "i7") == pytest.approx(lost, abs=1e-6)


def test_only_the_newest_events_are_looked_at(tmp_path: Path) -> None:
    artefact = Artefact.open(make_artefact(tmp_path / "long", items=90, history_length=90))
    streamed = [(f"i{n}", float(-n)) for n in range(80)]
    [reason] = explain(Recommender(artefact), Asked("new", streamed), 1)
    assert {push.name for push in reason.pushes if push.kind == "event"} == {f"i{n}" for n in range(EVENTS)}


def test_a_value_of_the_user_is_worth_what_the_score_loses_without_it(recommender: Recommender) -> None:
    record = {"GENDER": "f", "AGE": 30}
    [reason] = explain(recommender, Asked("u1", user_record=record), 1)
    lost = log_score(recommender, Asked("u1", user_record=record), reason.item_id) - log_score(
        recommender, Asked("u1", user_record={"AGE": 30}), reason.item_id
    )
    assert gain(reason, "user", "GENDER = f") == pytest.approx(lost, abs=1e-6)
    assert "25 <= AGE < 45" in [push.name for push in reason.pushes]


def test_what_training_knew_of_the_user_counts_without_a_record(recommender: Recommender) -> None:
    assert "GENDER = m" in [push.name for push in explain(recommender, Asked("u1"), 1)[0].pushes]


def test_a_value_of_the_situation_is_worth_what_the_score_loses_without_it(recommender: Recommender) -> None:
    asked = Asked("u1", context={"DEVICE": "tv", "NO_SUCH": "x"})
    [reason] = explain(recommender, asked, 1)
    lost = log_score(recommender, asked, reason.item_id) - log_score(recommender, Asked("u1"), reason.item_id)
    assert gain(reason, "situation", "DEVICE = tv") == pytest.approx(lost, abs=1e-6)


def test_a_value_of_the_item_is_worth_what_the_score_loses_when_only_this_item_loses_it(
    recommender: Recommender,
) -> None:
    encoding = encoding_of(recommender)
    assert encoding.side is not None
    matrix = encoding.item_matrix.copy()
    codes, weights = encoding.side.item_bags.row(5)
    matrix[5] -= weights[0] * encoding.side.item_matrix[codes[0]]
    without = with_encoding(recommender, item_matrix=matrix)
    [reason] = explain(recommender, Asked("u1"), 1, "i5")
    lost = log_score(recommender, Asked("u1"), "i5") - log_score(without, Asked("u1"), "i5")
    assert gain(reason, "item", "GENRES = comedy") == pytest.approx(lost, abs=1e-5)


def test_popularity_is_the_bias_in_exchange_for_the_mean_one(recommender: Recommender) -> None:
    matrix = encoding_of(recommender).item_matrix.copy()
    matrix[:, -1] = np.linspace(-1, 2, len(matrix))
    reads = matrix.copy()
    reads[:, -1] = 1
    biased = with_encoding(recommender, item_matrix=matrix, input_matrix=reads, side=None)
    mean = matrix.copy()
    mean[30, -1] = matrix[:, -1].mean()
    lost = log_score(biased, Asked("u1"), "i30") - log_score(
        with_encoding(biased, item_matrix=mean), Asked("u1"), "i30"
    )
    [reason] = explain(biased, Asked("u1"), 1, "i30")
    assert gain(reason, "popularity") == pytest.approx(lost, abs=1e-6)


def test_the_largest_gains_come_first(recommender: Recommender) -> None:
    for reason in explain(recommender, Asked("u1", context={"DEVICE": "tv"}), 3):
        sizes = [abs(push.value) for push in reason.pushes]
        assert sizes == sorted(sizes, reverse=True) and len(sizes) > 5


def test_a_user_of_whom_nothing_is_known_gets_a_popular_fill(recommender: Recommender) -> None:
    reason = explain(recommender, Asked("nobody"), 1)[0]
    assert reason.how == "popular"
    assert gain(reason, "interactions") == recommender.artefact.interactions[0]


def test_a_situation_alone_is_personal(recommender: Recommender) -> None:
    reason = explain(recommender, Asked("nobody", context={"DEVICE": "tv"}), 1)[0]
    assert reason.how == "personal"
    assert {push.kind for push in reason.pushes} == {"situation", "item", "popularity"}


def test_a_lifted_item_was_explored_and_its_score_is_the_explored_one(recommender: Recommender) -> None:
    new = np.where(np.arange(40) % 2, 1_600_000_000, 1_500_000_000)
    recommender = Recommender(replace(recommender.artefact, created=new))
    asked = Asked("u1", exploration=Exploration(1.0, 30.0), seed="RID-1", now=1_600_000_600.0)
    assert asked.exploration is not None
    logits = recommender.logits(asked)
    explored = explore(logits, recommender.artefact, asked.exploration, "RID-1", asked.now, 25)
    reasons = explain(recommender, asked, 25)
    assert [recommender.artefact.items.code(reason.item_id) for reason in reasons] == explored.best.tolist()
    lifted = [reason for reason in reasons if reason.how == "explored"]
    assert lifted and all(gain(reason, "exploration") > 0 for reason in lifted)
    plain = {reason.item_id for reason in reasons if reason.how == "personal"}
    untouched = np.flatnonzero(explored.logits == logits)
    assert plain <= set(recommender.artefact.items.ids(untouched.tolist()))


def test_an_item_that_goes_with_another_says_how_similar_they_are(tmp_path: Path) -> None:
    path = make_artefact(tmp_path / "sims", recipe="aws-sims", recipe_type="RELATED_ITEMS", kind="neighbours")
    recommender = Recommender(Artefact.open(path))
    reasons = explain(recommender, Asked(item_id="i3"), 10)
    assert [reason.item_id for reason in reasons] == [s.item_id for s in recommender.recommend(Asked(item_id="i3"), 10)]
    similar = [reason for reason in reasons if reason.how == "similar"]
    assert gain(similar[0], "similarity", "i3") == 1.0 and reasons[0].score is None
    assert [reason.how for reason in reasons] == ["similar"] * len(similar) + ["popular"] * (10 - len(similar))


def test_a_popular_item_says_how_many_took_it(tmp_path: Path) -> None:
    path = make_artefact(tmp_path / "pop", recipe="aws-popularity-count", recipe_type="POPULAR_ITEMS", kind="popular")
    recommender = Recommender(Artefact.open(path))
    reason = explain(recommender, Asked("u1"), 1)[0]
    assert (reason.how, gain(reason, "interactions")) == ("popular", recommender.artefact.interactions[0])


def test_an_item_that_training_did_not_have_is_named(recommender: Recommender) -> None:
    with pytest.raises(UnknownItem, match="'no-such'"):
        explain(recommender, Asked("u1"), 1, "no-such")
