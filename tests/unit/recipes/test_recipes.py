"""The contract for every recipe that can be trained; what is a family's own is tested beside this file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.recipes import cold_items
from pipelines.recipes.catalogue import recipes
from tests.support.recipe_contract import RecipeContract, contents, drifting


class SequenceContract(RecipeContract):
    """The HRNN family: what it learns depends on the seed too."""

    floor = 1.5
    newest = 20

    def test_another_seed_gives_another_model(self, tmp_path: Path) -> None:
        data = drifting(users=30)
        for seed in (1, 2):
            self.code(seed).fit(data, 1).model.save(tmp_path / str(seed))
        assert contents(tmp_path / "1") != contents(tmp_path / "2")


class TestUserPersonalization(SequenceContract):
    name = "aws-user-personalization"


class TestPersonalizedRanking(SequenceContract):
    name = "aws-personalized-ranking"


class TestHrnn(SequenceContract):
    name = "aws-hrnn"


class TestHrnnMetadata(SequenceContract):
    name = "aws-hrnn-metadata"


class TestHrnnColdstart(SequenceContract):
    name = "aws-hrnn-coldstart"

    @pytest.fixture(autouse=True, scope="class")
    def _few_cold_items_do(self) -> Iterator[None]:
        """The recipe wants 100 cold items (test_cold_items.py), more than the contract's data has items."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cold_items, "FEWEST", 0)
            yield


class TestSims(RecipeContract):
    name = "aws-sims"
    floor = 1.4


class TestPopularityCount(RecipeContract):
    name = "aws-popularity-count"
    floor = 0.95


def test_every_recipe_that_can_be_trained_is_held_to_the_contract() -> None:
    classes = [one for one in globals().values() if isinstance(one, type) and issubclass(one, RecipeContract)]
    tested = {one.name for one in classes if one.__name__.startswith("Test")}
    assert tested == {recipe.name for recipe in recipes().values() if recipe.trainable}
