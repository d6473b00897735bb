"""What holds for every recipe: subclass RecipeContract and name the recipe, and some twenty tests are inherited.

class TestUserPersonalization(RecipeContract):
    name = "aws-user-personalization"
    floor = 1.5  # times the NDCG@25 of popularity on MovieLens
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from pipelines.datasets.sequences import Sequences, make_sequences
from pipelines.evaluation.holdout import split
from pipelines.recipes.catalogue import RELATED_ITEMS, Recipe, recipe_by_name
from pipelines.recipes.contract import FitSettings, Model, Queries, RecipeCode, load
from pipelines.recipes.hyperparameters import Hyperparameter, Value
from pipelines.recipes.measuring import evaluate, measure
from pipelines.recipes.training_data import TrainingData
from pipelines.serving.artefact import Artefact
from pipelines.serving.asked import Asked
from pipelines.serving.recommender import Recommender
from tests.support.recipe_data import described, movielens

NDCG = "normalized_discounted_cumulative_gain_at_25"
SMALL = {"hidden_dimension": 32}


def training_data(sequences: Sequences, items: int, prefix: str = "") -> TrainingData:
    """Sequences with made-up ids."""
    item_ids = [f"{prefix}i{n}" for n in range(items)]
    return TrainingData.plain(sequences, item_ids, [f"{prefix}u{n}" for n in range(sequences.users)])


def from_lists(*histories: list[int]) -> Sequences:
    """One user a list of item codes, an hour between two events."""
    offsets = np.cumsum([0, *map(len, histories)]).astype(np.int64)
    items = np.array([item for history in histories for item in history], np.int32)
    return Sequences(offsets, items, 1_600_000_000 + 3600 * np.arange(len(items)))


def drifting(users: int = 120, each: int = 30, items: int = 100, seed: int = 0) -> TrainingData:
    """Users who stay in one of ten clusters of items for a while and then move on: something to learn."""
    random = np.random.default_rng(seed)
    cluster = (random.integers(0, 10, (users, 1)) + np.cumsum(random.random((users, each)) < 0.1, axis=1)) % 10
    chosen = cluster * (items // 10) + np.minimum(random.geometric(0.25, (users, each)) - 1, items // 10 - 1)
    user = np.repeat(np.arange(users), each)
    times = np.tile(1_600_000_000 + 600 * np.arange(each), users)
    sequences = make_sequences(user, chosen.ravel(), times, np.zeros(users * each, np.int64), users)
    return training_data(sequences, items)


def contents(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(directory.iterdir())}


@dataclass(frozen=True)
class Trained:
    """A model and what serves it."""

    code: RecipeCode
    model: Model
    data: TrainingData
    recommender: Recommender

    def asked(self, user: int, **more: object) -> Asked:
        """What a client asks for this user: what goes with their last item, if that is the recipe's question."""
        items = self.data.sequences.items_of(user)
        item = None
        if self.recommender.artefact.recipe_type == RELATED_ITEMS and len(items):
            item = self.data.item_ids[int(items[-1])]
        return Asked(self.data.user_ids[user], item_id=item, **more)  # type: ignore[arg-type]

    def list(self, user: int, length: int = 500, **more: object) -> list[str]:
        return [scored.item_id for scored in self.recommender.recommend(self.asked(user, **more), length)]


class RecipeContract:
    """Twenty tests."""

    name: ClassVar[str]
    floor: ClassVar[float]
    newest: ClassVar[int] = 200
    """How many events of each user of MovieLens it is measured on."""

    @property
    def recipe(self) -> Recipe:
        found = recipe_by_name(self.name)
        assert found is not None
        return found

    def code(self, seed: int = 1, **changed: Value) -> RecipeCode:
        """The recipe with small hyperparameters, or `changed` ones."""
        wanted = {**SMALL, **changed}
        values: dict[str, dict[str, Value]] = {"algorithm": {}, "featurization": {}}
        for parameter in self.recipe.hyperparameters:
            values[parameter.group][parameter.name] = wanted.get(parameter.name, parameter.default)
        return load(self.recipe, FitSettings(values["algorithm"], values["featurization"], seed=seed, threads=1))

    def trained(self, data: TrainingData, directory: Path, epochs: int = 1, **changed: Value) -> Trained:
        code = self.code(**changed)
        return self.served(code, code.fit(data, epochs).model, data, directory)

    def served(self, code: RecipeCode, model: Model, data: TrainingData, directory: Path) -> Trained:
        code.export(model, data, directory, {})
        return Trained(code, model, data, Recommender(Artefact.open(directory)))

    @pytest.fixture(scope="class")
    def fitted(self, tmp_path_factory: pytest.TempPathFactory) -> Trained:
        return self.trained(drifting(), tmp_path_factory.mktemp("recipe") / "artefact", 3)

    @pytest.fixture(scope="class")
    def rich(self, tmp_path_factory: pytest.TempPathFactory) -> Trained:
        """Fitted on data with metadata and situations, as far as the recipe uses them."""
        data = described(drifting(users=60, each=12), self.recipe)
        return self.trained(data, tmp_path_factory.mktemp("recipe") / "artefact")

    def test_it_beats_popularity_by_its_floor_on_movielens(self) -> None:
        data = movielens(self.newest)
        holdout = split(data.sequences)
        model = self.code().fit(data.of_users(holdout.train_users, holdout.train), 3).model
        found = measure(model, data, holdout, scores=self.recipe.scores)
        assert found.metrics[NDCG] >= self.floor * found.baselines["popularity"][NDCG]

    def test_two_fits_give_the_same_bytes(self, tmp_path: Path) -> None:
        data = described(drifting(users=30), self.recipe)
        for name in ("a", "b"):
            self.code().fit(data, 1).model.save(tmp_path / name)
        assert contents(tmp_path / "a") == contents(tmp_path / "b")

    def test_evaluation_is_the_same_twice_and_says_for_how_long_to_train(self) -> None:
        data = drifting(users=20, each=10)
        found = evaluate(self.code(), data)
        assert found == evaluate(self.code(), data)
        assert found.best_epoch in ([row["epoch"] for row in found.curve] or [1])

    def test_a_saved_model_exports_the_same_artefact(self, tmp_path: Path, rich: Trained) -> None:
        rich.model.save(tmp_path / "model")
        for name, model in (("before", rich.model), ("after", rich.code.load(tmp_path / "model"))):
            rich.code.export(model, rich.data, tmp_path / name, {})
        assert contents(tmp_path / "before") == contents(tmp_path / "after")

    def test_what_is_served_is_what_the_model_answers(self, fitted: Trained) -> None:
        self.check_served_equals_training(fitted, range(0, 120, 17))

    def check_served_equals_training(self, trained: Trained, users: range) -> None:
        wanted = np.array(users)
        data = trained.data.of_users(wanted)
        context = np.full((len(wanted), len(trained.data.context.columns)), -1, np.int32)
        answers = trained.model.answer(Queries(data.sequences, data.user_features.bags, context))
        for user, expected in zip(users, answers, strict=True):
            served = trained.recommender.logits(trained.asked(user))
            if self.recipe.scores:
                assert np.abs(served - expected).max() < 1e-4
            assert (
                trained.list(user, 5)
                == [trained.data.item_ids[item] for item in np.argsort(-expected, kind="stable")[:5]]
                or self.recipe.scores
            )

    def test_what_is_served_with_metadata_is_what_the_model_answers(self, rich: Trained) -> None:
        self.check_served_equals_training(rich, range(0, len(rich.data.user_ids), 12))

    def test_one_user_and_one_item(self, tmp_path: Path) -> None:
        data = training_data(from_lists([0]), 1)
        assert set(evaluate(self.code(), data).metrics.values()) == {0.0}
        [only] = self.trained(data, tmp_path / "artefact").recommender.recommend(Asked("u0"), 25)
        assert (only.item_id, only.score) == ("i0", 1.0 if self.recipe.scores else None)

    def test_one_user_with_one_item_over_and_over(self, tmp_path: Path) -> None:
        data = training_data(from_lists([0] * 50), 1)
        trained = self.trained(data, tmp_path / "artefact", evaluate(self.code(), data).best_epoch)
        assert trained.recommender.recommend(Asked("u0"), 25)[0].item_id == "i0"

    def test_extreme_lengths_beside_each_other(self, tmp_path: Path) -> None:
        random = np.random.default_rng(0)
        lengths = (1, 2, 3, 2, 1500, 33, 1, 64)
        data = training_data(from_lists(*[random.integers(0, 9, length).tolist() for length in lengths]), 9)
        trained = self.trained(data, tmp_path / "artefact", max_user_history_length_percentile=1.0)
        itself = self.recipe.recipe_type == RELATED_ITEMS
        assert {len(trained.list(user)) for user in range(len(lengths))} == {9 - itself}
        self.check_served_equals_training(trained, range(0, 8, 1))

    def test_all_events_at_one_time(self, tmp_path: Path) -> None:
        data = drifting(users=20)
        flat = replace(data, sequences=replace(data.sequences, times=np.full(len(data.sequences.items), 7)))
        assert self.trained(flat, tmp_path / "artefact").list(0, 25)

    def test_unicode_ids_come_back(self, tmp_path: Path) -> None:
        ids = ["商品", "🎬 film", "é" * 128]
        data = TrainingData.plain(from_lists(*[[0, 1, 2, 1]] * 5), ids, [f"Ω{n}" for n in range(5)])
        trained = self.trained(data, tmp_path / "artefact")
        left_out = {ids[1]} if self.recipe.recipe_type == RELATED_ITEMS else set()
        assert set(trained.list(3)) == set(ids) - left_out

    def test_unknown_users_and_items_get_what_is_popular(self, fitted: Trained) -> None:
        order = np.argsort(-fitted.recommender.artefact.popularity, kind="stable")[:25]
        for asked in (Asked("nobody"), Asked("nobody", item_id="no-such"), Asked("nobody", [("no-such", 1.0)])):
            found = fitted.recommender.recommend(asked, 25)
            assert [scored.item_id for scored in found] == [fitted.data.item_ids[item] for item in order]

    def test_a_user_without_events_is_answered(self, rich: Trained) -> None:
        users = len(rich.data.user_ids)
        nobody = Queries.plain(from_lists([]))
        if not rich.data.context.columns and not self.recipe.metadata:
            [logits] = rich.model.answer(nobody)
            assert np.array_equal(np.argsort(-logits), np.argsort(-rich.recommender.artefact.popularity))
        assert len(rich.list(users - 1)) >= rich.data.items - 1

    def test_an_item_without_events_is_in_the_catalogue(self, rich: Trained) -> None:
        assert set(rich.list(0)) | {rich.asked(0).item_id} >= set(rich.data.item_ids)

    def test_unknown_items_in_an_event_and_in_a_list_never_fail(self, fitted: Trained) -> None:
        assert fitted.list(0, 5, streamed=[("no-such", 1.0)]) == fitted.list(0, 5)
        ranked = fitted.recommender.rank(fitted.asked(0), ["no-such", "i1", "i2", "i1"])
        assert [scored.item_id for scored in ranked][2:] == ["no-such"]
        assert ranked[2].score is None

    def test_an_event_moves_the_list_if_the_recipe_follows_users(self, fitted: Trained) -> None:
        follows = fitted.recommender.artefact.manifest["kind"] == "encoder"
        assert (fitted.list(0, 25, streamed=[("i55", 1.7e9)]) != fitted.list(0, 25)) == follows

    def test_scores_sum_to_1_over_the_catalogue_or_are_not_there(self, fitted: Trained) -> None:
        for asked in (fitted.asked(0), fitted.asked(1), Asked("nobody")):
            found = [scored.score for scored in fitted.recommender.recommend(asked, 500)]
            if self.recipe.scores:
                assert sum(score or 0 for score in found) == pytest.approx(1, abs=1e-5)
                assert found == sorted(found, key=lambda score: -(score or 0))
            else:
                assert set(found) == {None}

    def test_context_shapes_answers_and_unknown_context_is_ignored(self, rich: Trained) -> None:
        plain = rich.recommender.logits(rich.asked(0))
        for unknown in ({"DEVICE": "radio"}, {"NO_SUCH": "tv"}, {"DEVICE": ""}):
            assert np.array_equal(rich.recommender.logits(rich.asked(0, context=unknown)), plain)
        known = rich.recommender.logits(rich.asked(0, context={"DEVICE": "tv"}))
        assert np.array_equal(known, plain) != self.recipe.context

    def test_a_users_record_counts_if_the_recipe_reads_it(self, rich: Trained) -> None:
        plain = rich.recommender.logits(rich.asked(0))
        changed = rich.recommender.logits(rich.asked(0, user_record={"GROUP": "b"}))
        assert np.array_equal(changed, plain) != self.recipe.metadata

    @pytest.mark.parametrize("draw", range(5))
    def test_hyperparameters_drawn_from_their_ranges(self, draw: int, tmp_path: Path) -> None:
        random = np.random.default_rng(draw)
        drawn = {p.name: _draw(p, random) for p in self.recipe.hyperparameters}
        trained = self.trained(drifting(users=25, each=8), tmp_path / "artefact", **drawn)
        assert len(trained.list(0, 25)) == 25

    def test_update_takes_in_new_items_and_users(self, tmp_path: Path, fitted: Trained) -> None:
        data = fitted.data
        items = np.concatenate([data.sequences.items, [100, 100]]).astype(np.int32)
        times = np.concatenate([data.sequences.times, [1_700_000_000, 1_700_000_001]])
        offsets = np.append(data.sequences.offsets, len(items))
        new = training_data(Sequences(offsets, items, times), 101)
        updated = fitted.code.update(fitted.model, data, new)
        after = self.served(fitted.code, updated, new, tmp_path / "artefact")
        assert len(after.list(120)) == 101 - (self.recipe.recipe_type == RELATED_ITEMS)
        # Known users keep the order of the items they had.
        assert [item for item in after.list(3) if item != "i100"] == fitted.list(3)

    def test_the_artefact_says_what_it_is(self, fitted: Trained) -> None:
        manifest, recipe = fitted.recommender.artefact.manifest, self.recipe
        assert (manifest["recipe"], manifest["recipe_type"]) == (recipe.name, recipe.recipe_type)
        assert (manifest["scores"], manifest["explores"]) == (recipe.scores, recipe.explores)


def _draw(parameter: Hyperparameter, random: np.random.Generator) -> Value:
    if parameter.kind == "categorical":
        return str(random.choice(parameter.values))
    if parameter.kind == "integer":
        return int(random.integers(int(parameter.minimum), int(min(parameter.maximum, 100)) + 1))
    if parameter.kind == "boolean":
        return bool(random.integers(0, 2))
    low = parameter.name.startswith("min_")
    return float(random.uniform(0.0, 0.3) if low else random.uniform(0.7, 1.0))
