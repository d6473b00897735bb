"""What metadata and context add to the HRNN family: cold items, new users, situations; and what an update keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pipelines.datasets.sequences import Sequences
from pipelines.recipes.catalogue import recipe_by_name
from pipelines.recipes.contract import FitSettings, Queries, load
from pipelines.recipes.sequence import SequenceRecipe
from pipelines.recipes.sequence_model import SequenceModel
from pipelines.recipes.training_data import TrainingData
from pipelines.serving.artefact import Artefact
from pipelines.serving.asked import Asked
from pipelines.serving.recommender import Recommender
from pipelines.serving.vocabulary import Bags, Column, Vocabulary
from tests.support.described import (
    CLUSTERS,
    EACH,
    GENRES,
    described,
    groups,
    interactions_only,
    items_of,
    without_events,
)
from tests.support.recipe_contract import contents

EPOCHS = 25


def recipe(name: str = "aws-hrnn-metadata") -> SequenceRecipe:
    found = recipe_by_name(name)
    assert found is not None
    settings = FitSettings(found.algorithm_values({"hidden_dimension": "32"}), found.featurization_values({}), 0, 1)
    code = load(found, settings)
    assert isinstance(code, SequenceRecipe)
    return code


@cache
def learned() -> tuple[TrainingData, SequenceModel]:
    data = described()
    model = recipe().fit(data, EPOCHS).model
    assert isinstance(model, SequenceModel)
    return data, model


def ask(model: SequenceModel, history: Sequence[int] = (), user: Bags | None = None, device: int = -1) -> np.ndarray:
    """(items,) logits for one user."""
    given = Sequences(np.array([0, len(history)]), np.array(history, np.int32), np.zeros(len(history), np.int64))
    [logits] = model.answer(Queries(given, Bags.empty(1) if user is None else user, np.array([[device]], np.int32)))
    return logits


def group(number: int) -> Bags:
    return groups(np.array([number])).bags


def group_of(data: TrainingData, user: int) -> int:
    return int(data.user_features.bags.codes[user])


def share_right(model: SequenceModel, data: TrainingData) -> float:
    """How often, among items that nobody had an event with, the best two are of the user's genre."""
    cold = without_events(data)
    right = []
    for user in range(100):
        best = cold[np.argsort(-ask(model, data.sequences.items_of(user).tolist())[cold], kind="stable")[:2]]
        right.append((best // EACH == group_of(data, user)).mean())
    return float(np.mean(right))


def test_metadata_tells_which_items_without_events_a_user_likes() -> None:
    data, model = learned()
    alone = recipe("aws-hrnn").fit(interactions_only(data), EPOCHS).model
    assert isinstance(alone, SequenceModel)
    assert share_right(replace(alone, context_starts=np.zeros(1, np.int64)), data) == pytest.approx(0.2, abs=0.1)
    assert share_right(model, data) > 0.9


def test_context_shapes_the_answer_of_a_user_with_a_history() -> None:
    data, model = learned()
    for user in range(5):
        history, bags = data.sequences.items_of(user).tolist(), group(group_of(data, user))
        short = [np.argsort(-ask(model, history, bags, device), kind="stable")[:8] % 2 for device in (0, 1)]
        assert np.mean(short[0]) < 0.2
        assert np.mean(short[1]) > 0.8


@pytest.mark.parametrize("number", range(CLUSTERS))
def test_metadata_and_context_shape_the_answer_of_a_user_without_events(number: int) -> None:
    _, model = learned()
    best = np.argsort(-ask(model, user=group(number), device=1), kind="stable")[:8]
    assert (best // EACH == number).mean() > 0.8
    assert (best % 2).mean() > 0.8


def test_of_a_user_of_whom_nothing_is_known_the_answer_is_exactly_what_is_popular() -> None:
    _, model = learned()
    assert np.array_equal(ask(model), model.popularity)


def test_two_fits_with_metadata_and_context_give_the_same_bytes(tmp_path: Path) -> None:
    data = described(users=60)
    for name in ("a", "b"):
        recipe().fit(data).model.save(tmp_path / name)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def served(data: TrainingData, model: SequenceModel, directory: Path) -> Recommender:
    recipe().export(model, data, directory, {})
    return Recommender(Artefact.open(directory))


def test_served_logits_with_a_side_equal_the_training_time_ones(tmp_path: Path) -> None:
    data, model = learned()
    recommender = served(data, model, tmp_path / "artefact")
    for user in range(3):
        history = data.sequences.items_of(user).tolist()
        expected = ask(model, history, data.user_features.bags.of(np.array([user])), device=1)
        assert np.abs(recommender.logits(Asked(f"u{user}", context={"DEVICE": "phone"})) - expected).max() < 1e-4
    empty = recommender.logits(Asked("nobody"))
    assert np.array_equal(empty, model.popularity)
    known = recommender.logits(Asked("nobody", user_record={"GROUP": "group2"}, context={"DEVICE": "tv"}))
    assert np.abs(known - ask(model, user=group(2), device=0)).max() < 1e-4


def test_an_event_with_an_item_that_training_never_saw_shapes_the_answer(tmp_path: Path) -> None:
    data, model = learned()
    recommender = served(data, model, tmp_path / "artefact")
    same = []
    for cold in without_events(data)[::2].tolist():
        best = recommender.recommend(Asked("nobody", streamed=[(f"i{cold}", 1.7e9)] * 3), 8)
        same += [int(scored.item_id[1:]) // EACH == cold // EACH for scored in best]
    assert np.mean(same) > 0.6


def test_a_version_without_metadata_and_context_has_no_side(tmp_path: Path) -> None:
    plain = interactions_only(described(users=30))
    recipe("aws-hrnn").export(recipe("aws-hrnn").fit(plain, 1).model, plain, tmp_path / "artefact", {})
    assert Artefact.open(tmp_path / "artefact").side is None


# Updates ---------------------------------------------------------------------------------------------------------


def grown(data: TrainingData) -> TrainingData:
    """`data` a week later: a new item of each genre, a new user of group 3, and the genres numbered the other way."""
    items = data.items + CLUSTERS
    codes = np.arange(data.items)
    genres = np.append(codes // EACH, np.arange(CLUSTERS))
    people = [group_of(data, user) for user in range(data.sequences.users)]
    sequences = data.sequences
    return replace(
        data,
        sequences=replace(sequences, offsets=np.append(sequences.offsets, sequences.offsets[-1])),
        item_ids=[*data.item_ids, *(f"new{n}" for n in range(CLUSTERS))],
        user_ids=[*data.user_ids, "late"],
        item_features=items_of(genres, np.append(codes % 2, np.ones(CLUSTERS, np.int64)), GENRES[::-1]),
        user_features=groups(np.array([*people, 3])),
        created=np.append(data.created, np.full(CLUSTERS, data.newest)),
        shown=np.zeros(items, np.int64),
        dated=np.arange(items) >= data.items,
    )


def test_after_an_update_known_users_keep_the_order_of_the_items_they_had() -> None:
    data, model = learned()
    new = recipe().update(model, data, grown(data))
    for user in range(5):
        history = data.sequences.items_of(user).tolist()
        bags = data.user_features.bags.of(np.array([user]))
        before, after = (ask(one, history, bags, device=0)[: data.items] for one in (model, new))
        assert np.array_equal(np.argsort(-before, kind="stable"), np.argsort(-after, kind="stable"))


def test_after_an_update_new_items_enter_by_their_metadata() -> None:
    data, model = learned()
    new = recipe().update(model, data, grown(data))
    for user in range(5):
        own = group_of(data, user)
        logits = ask(new, data.sequences.items_of(user).tolist(), group(own), device=1)[data.items :]
        assert int(np.argmax(logits)) == own


def test_after_an_update_a_new_user_is_known_by_their_metadata(tmp_path: Path) -> None:
    data, model = learned()
    later = grown(data)
    recommender = served(later, recipe().update(model, data, later), tmp_path / "artefact")
    best = [later.item_ids.index(scored.item_id) for scored in recommender.recommend(Asked("late"), 10)]
    assert np.mean([code // EACH == 3 or code == data.items + 3 for code in best]) > 0.8


def test_a_number_keeps_its_meaning_when_an_update_cuts_its_column_elsewhere() -> None:
    from pipelines.recipes.sequence_model import _rows

    old = Vocabulary((Column("PRICE", "number", edges=(10.0, 20.0)),))
    new = Vocabulary((Column("KIND", "category", ("a",)), Column("PRICE", "number", edges=(5.0, 12.0, 20.0, 30.0))))
    found = _rows(np.array([[1.0], [2.0], [3.0]], np.float32), old, new)
    assert found[:, 0].tolist() == [0.0, 1.0, 1.0, 2.0, 3.0, 3.0]
