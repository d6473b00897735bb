"""The tests that every recipe inherits: subclass RecipeContract and name the recipe.

class TestUserPersonalization(RecipeContract):
    name = "aws-user-personalization"
    floor = 1.5  # times the NDCG@25 of popularity, on data with something to learn
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from pipelines.datasets.sequences import Sequences, make_sequences
from pipelines.recipes.catalogue import Recipe, recipe_by_name
from pipelines.recipes.contract import FitSettings, Model, RecipeCode, load
from pipelines.recipes.hyperparameters import Hyperparameter, Value
from pipelines.recipes.measuring import evaluate
from pipelines.recipes.training_data import TrainingData
from pipelines.serving.artefact import Artefact
from pipelines.serving.asked import Asked
from pipelines.serving.recommender import Recommender

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


class RecipeContract:
    """What holds for every recipe."""

    name: ClassVar[str]
    floor: ClassVar[float]

    @property
    def recipe(self) -> Recipe:
        found = recipe_by_name(self.name)
        assert found is not None
        return found

    def code(self, **changed: Value) -> RecipeCode:
        """The recipe with small hyperparameters, or `changed` ones."""
        wanted = {**SMALL, **changed}
        values: dict[str, dict[str, Value]] = {"algorithm": {}, "featurization": {}}
        for parameter in self.recipe.hyperparameters:
            values[parameter.group][parameter.name] = wanted.get(parameter.name, parameter.default)
        return load(self.recipe, FitSettings(values["algorithm"], values["featurization"], seed=1, threads=1))

    def served(self, code: RecipeCode, model: Model, data: TrainingData, directory: Path) -> Recommender:
        code.export(model, data, directory, {})
        return Recommender(Artefact.open(directory))

    @pytest.fixture(scope="class")
    def fitted(self, tmp_path_factory: pytest.TempPathFactory) -> tuple[RecipeCode, Model, TrainingData, Recommender]:
        code, data = self.code(), drifting()
        model = code.fit(data, 3).model
        return code, model, data, self.served(code, model, data, tmp_path_factory.mktemp("recipe") / "artefact")

    def test_two_fits_give_the_same_bytes(self, tmp_path: Path) -> None:
        data = drifting(users=30)
        for name in ("a", "b"):
            self.code().fit(data, 2).model.save(tmp_path / name)
        assert contents(tmp_path / "a") == contents(tmp_path / "b")

    def test_another_seed_gives_another_model(self, tmp_path: Path) -> None:
        data = drifting(users=30)
        self.code().fit(data, 1).model.save(tmp_path / "a")
        settings = FitSettings(
            self.recipe.algorithm_values({"hidden_dimension": "32"}), self.recipe.featurization_values({}), 2, 1
        )
        load(self.recipe, settings).fit(data, 1).model.save(tmp_path / "b")
        assert contents(tmp_path / "a") != contents(tmp_path / "b")

    def test_a_saved_model_exports_the_same_artefact(
        self, tmp_path: Path, fitted: tuple[RecipeCode, Model, TrainingData, Recommender]
    ) -> None:
        code, model, data, _ = fitted
        model.save(tmp_path / "model")
        code.export(model, data, tmp_path / "before", {})
        code.export(code.load(tmp_path / "model"), data, tmp_path / "after", {})
        assert contents(tmp_path / "before") == contents(tmp_path / "after")

    def test_it_beats_popularity_by_its_floor(self) -> None:
        found = evaluate(self.code(), drifting(users=300))
        assert found.metrics[NDCG] >= self.floor * found.baselines["popularity"][NDCG]
        assert found.metrics[NDCG] > found.baselines["repeat"][NDCG]
        assert set(found.metrics) == set(found.baselines["markov"])

    def test_evaluation_is_the_same_twice(self) -> None:
        data = drifting(users=40)
        assert evaluate(self.code(), data) == evaluate(self.code(), data)

    def test_evaluation_names_an_epoch_of_its_curve(self) -> None:
        found = evaluate(self.code(), drifting(users=40))
        assert found.best_epoch in [row["epoch"] for row in found.curve]
        assert found.test_users == 4

    def test_one_user_and_one_item(self, tmp_path: Path) -> None:
        data = training_data(from_lists([0]), 1)
        code = self.code()
        assert set(evaluate(code, data).metrics.values()) == {0.0}
        recommender = self.served(code, code.fit(data, 1).model, data, tmp_path / "artefact")
        assert recommender.recommend(Asked("u0"), 25) == [("i0", 1.0)]

    def test_one_user_with_one_item_over_and_over(self, tmp_path: Path) -> None:
        data = training_data(from_lists([0] * 50), 1)
        code = self.code()
        recommender = self.served(
            code, code.fit(data, evaluate(code, data).best_epoch).model, data, tmp_path / "artefact"
        )
        assert recommender.recommend(Asked("u0"), 25) == [("i0", 1.0)]

    def test_extreme_lengths_beside_each_other(self, tmp_path: Path) -> None:
        random = np.random.default_rng(0)
        histories = [random.integers(0, 9, length).tolist() for length in (1, 2, 3, 2, 1500, 33, 1, 64)]
        data = training_data(from_lists(*histories), 9)
        code = self.code(max_user_history_length_percentile=1.0)
        recommender = self.served(
            code, code.fit(data, evaluate(code, data).best_epoch).model, data, tmp_path / "artefact"
        )
        for user in range(len(histories)):
            assert sum(scored.score or 0 for scored in recommender.recommend(Asked(f"u{user}"), 25)) == pytest.approx(1)

    def test_all_events_at_one_time(self, tmp_path: Path) -> None:
        data = drifting(users=20)
        sequences = Sequences(data.sequences.offsets, data.sequences.items, np.full(len(data.sequences.items), 7))
        flat = training_data(sequences, data.items)
        code = self.code()
        assert self.served(code, code.fit(flat, 1).model, flat, tmp_path / "artefact").recommend(Asked("u0"), 25)

    def test_unicode_ids_come_back(self, tmp_path: Path) -> None:
        sequences = from_lists(*[[0, 1, 2, 1]] * 5)
        data = TrainingData.plain(sequences, ["商品", "🎬 film", "é" * 128], [f"Ω{n}" for n in range(5)])
        code = self.code()
        recommender = self.served(code, code.fit(data, 1).model, data, tmp_path / "artefact")
        assert {scored.item_id for scored in recommender.recommend(Asked("Ω3"), 25)} == set(data.item_ids)

    def test_an_unknown_user_gets_what_is_popular(
        self, fitted: tuple[RecipeCode, Model, TrainingData, Recommender]
    ) -> None:
        _, _, data, recommender = fitted
        favourite = data.item_ids[int(np.argmax(recommender.artefact.popularity))]
        assert recommender.recommend(Asked("nobody"), 1)[0].item_id == favourite

    def test_unknown_items_in_an_event_and_in_a_list_never_fail(
        self, fitted: tuple[RecipeCode, Model, TrainingData, Recommender]
    ) -> None:
        *_, recommender = fitted
        assert recommender.recommend(Asked("u0", [("no-such", 1.0)]), 5) == recommender.recommend(Asked("u0"), 5)
        assert recommender.rank(Asked("u0"), ["no-such", "i1"])[1] == ("no-such", None)

    def test_an_event_changes_the_recommendations(
        self, fitted: tuple[RecipeCode, Model, TrainingData, Recommender]
    ) -> None:
        *_, recommender = fitted
        assert recommender.recommend(Asked("u0", [("i5", 1.7e9)]), 25) != recommender.recommend(Asked("u0"), 25)

    def test_scores_over_the_catalogue_sum_to_1(
        self, fitted: tuple[RecipeCode, Model, TrainingData, Recommender]
    ) -> None:
        *_, recommender = fitted
        for user in ("u0", "u1", "nobody"):
            scores = [scored.score or 0 for scored in recommender.recommend(Asked(user), 500)]
            assert len(scores) == 100
            assert abs(sum(scores) - 1) <= len(scores) * 5e-8 + 1e-7

    @pytest.mark.parametrize("draw", range(5))
    def test_hyperparameters_drawn_from_their_ranges(self, draw: int, tmp_path: Path) -> None:
        random = np.random.default_rng(draw)
        drawn = {p.name: _draw(p, random) for p in self.recipe.hyperparameters}
        data, code = drifting(users=25, each=8), self.code(**drawn)
        recommender = self.served(code, code.fit(data, 1).model, data, tmp_path / "artefact")
        assert len(recommender.recommend(Asked("u0"), 25)) == 25

    def test_update_takes_in_new_items_and_users(
        self, tmp_path: Path, fitted: tuple[RecipeCode, Model, TrainingData, Recommender]
    ) -> None:
        code, model, data, before = fitted
        items = np.concatenate([data.sequences.items, [100, 100]]).astype(np.int32)
        times = np.concatenate([data.sequences.times, [1_700_000_000, 1_700_000_001]])
        offsets = np.append(data.sequences.offsets, len(items))
        new = training_data(Sequences(offsets, items, times), 101)
        after = self.served(code, code.update(model, data, new), new, tmp_path / "artefact")
        assert "i100" in {scored.item_id for scored in after.recommend(Asked("u120"), 500)}
        # Known users keep the order of the items they had.
        old = [scored.item_id for scored in before.recommend(Asked("u3"), 500)]
        assert [s.item_id for s in after.recommend(Asked("u3"), 500) if s.item_id != "i100"] == old


def _draw(parameter: Hyperparameter, random: np.random.Generator) -> Value:
    if parameter.kind == "integer":
        return int(random.integers(int(parameter.minimum), int(parameter.maximum) + 1))
    if parameter.kind == "boolean":
        return bool(random.integers(0, 2))
    low = parameter.name.startswith("min_")
    return float(random.uniform(0.0, 0.3) if low else random.uniform(0.7, 1.0))
