"""aws-popularity-count: users are counted, not events."""

from __future__ import annotations

from pathlib import Path

from pipelines.recipes.catalogue import recipe_by_name
from pipelines.recipes.contract import FitSettings, load
from pipelines.serving.artefact import Artefact
from pipelines.serving.asked import Asked
from pipelines.serving.recommender import Recommender
from tests.support.recipe_contract import from_lists, training_data


def test_items_come_by_their_number_of_users_the_same_for_everybody(tmp_path: Path) -> None:
    # Item 0 has the most events, all of one user; items 1 and 2 have two users each.
    data = training_data(from_lists([0] * 9, [2, 1, 1], [1, 2], [3, 4, 3]), 5)
    recipe = recipe_by_name("aws-popularity-count")
    assert recipe is not None
    code = load(recipe, FitSettings({}, {}))
    code.export(code.fit(data).model, data, tmp_path / "artefact", {})
    recommender = Recommender(Artefact.open(tmp_path / "artefact"))
    for asked in (Asked(), Asked("u0"), Asked("nobody"), Asked("u2", [("i4", 1.0)])):
        found = recommender.recommend(asked, 25)
        assert [scored.item_id for scored in found] == ["i1", "i2", "i0", "i3", "i4"]
        assert {scored.score for scored in found} == {None}
