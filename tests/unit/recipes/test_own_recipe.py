"""Recipes of other packages: the README's example through all stages, and what goes wrong with somebody else's code."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from pipelines import stages
from pipelines.datasets import snapshot
from pipelines.datasets.schema import ARRIVAL, smallest_schema
from pipelines.datasets.streamed import write, write_empty
from pipelines.recipes.catalogue import recipe_by_name, recipes
from pipelines.recipes.installed import origin
from pipelines.recipes.training_columns import DATASET_TYPES
from pipelines.serving.artefact import Artefact
from pipelines.serving.asked import Asked
from pipelines.serving.recommender import Recommender
from tests.support.own_package import importable, install
from tests.support.recipe_contract import RecipeContract

ROOT = Path(__file__).parents[3]


class TestBoughtNext(RecipeContract):
    name = "bought-next"
    floor = 1.3

    @pytest.fixture(autouse=True, scope="class")
    def _installed(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
        with importable(install(tmp_path_factory.mktemp("own") / "site")):
            yield


def frozen_inputs() -> None:
    """In the working folder: 60 users who each go through ten items in a fixed order, twice."""
    for kind in DATASET_TYPES:
        snapshot.write_empty(stages.INPUTS / kind.lower(), kind)
        write_empty(smallest_schema(kind), stages.INPUTS / "streamed" / f"{kind.lower()}.parquet")
    rows = [(user, step) for user in range(60) for step in range(20)]
    events = pa.table(
        {
            "USER_ID": [f"u{user}" for user, _ in rows],
            "ITEM_ID": [f"i{(user + step) % 10}" for user, step in rows],
            "TIMESTAMP": [1_600_000_000 + 60 * step for _, step in rows],
            ARRIVAL: list(range(1, len(rows) + 1)),
        }
    )
    path = stages.INPUTS / "streamed" / "interactions.parquet"
    write(iter([events]), path, smallest_schema("INTERACTIONS"))


def test_an_own_recipe_goes_through_every_stage_and_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = install(tmp_path / "site")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    frozen_inputs()
    wanted: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    wanted["solution"]["recipe"] = "bought-next"
    wanted |= {"hyperparameters": {"popularity_discount": "0.2"}, "featurization": {}}
    Path("params.yaml").write_text(yaml.safe_dump(wanted))
    code = "import yaml; from pipelines import stages; params = yaml.safe_load(open('params.yaml'))\n"
    code += "for name in ('prepare', 'tune', 'evaluate', 'train', 'package'): stages.STAGES[name](params)"
    environment = {**os.environ, "PYTHONPATH": f"{site}:{ROOT}"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)

    recommender = Recommender(Artefact.open(stages.ARTEFACT))
    for item in range(10):
        [following] = recommender.recommend(Asked(item_id=f"i{item}"), 1)
        assert following.item_id == f"i{(item + 1) % 10}"


def test_it_is_found_by_name_and_arn_and_gone_when_it_is_uninstalled(tmp_path: Path) -> None:
    with importable(install(tmp_path / "site")):
        found = recipe_by_name("bought-next")
        assert found is not None
        assert found.arn == "arn:aws:personalize:::recipe/bought-next"
        assert found.algorithm_values({"window": "5"}) == {"window": 5, "popularity_discount": 0.2}
    assert recipe_by_name("bought-next") is None


def test_a_versions_parameters_follow_the_packages_version_and_source(tmp_path: Path) -> None:
    found = []
    for name, version, more in (("a", "1.2", ""), ("b", "1.3", ""), ("c", "1.3", "# changed\n")):
        site = install(tmp_path / name, version=version)
        with (site / "own_recipe.py").open("a") as file:
            file.write(more)
        with importable(site):
            recipe = recipe_by_name("bought-next")
            assert recipe is not None
            found.append(origin(recipe))
    assert [one["recipe"] for one in found] == ["own-recipe==1.2", "own-recipe==1.3", "own-recipe==1.3"]
    assert found[0]["recipe_digest"] == found[1]["recipe_digest"] != found[2]["recipe_digest"]


def test_recipes_of_ours_need_no_more_than_the_codes_digest() -> None:
    assert {tuple(origin(recipe)) for recipe in recipes().values()} == {()}


def test_a_broken_entry_point_is_logged_and_the_others_are_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = {
        "a-broken": ("own_recipe:NO_SUCH", "AttributeError"),
        "b-missing": ("no_such_module:RECIPE", "ModuleNotFoundError"),
        "c-number": ("own_recipe:LENGTH", "it is a int, not a Recipe"),
        "d-ours": ("more:OURS", "not begin with aws-"),
        "e-type": ("more:TYPE", "its type 'SEARCH' is none of"),
        "f-family": ("more:FAMILY", "its family None must be"),
        "g-default": ("more:DEFAULT", "weight: 2.0 is outside [0, 1]"),
        "h-twice": ("more:TWICE", "own-recipe==1.2 has a recipe of this name"),
    }
    entries = "\n".join(f"{name} = {value}" for name, (value, _) in lines.items())
    site = install(tmp_path / "site", f"{entries}\nbought-next = own_recipe:BOUGHT_NEXT")
    (site / "more.py").write_text(
        "from dataclasses import replace\nfrom own_recipe import BOUGHT_NEXT, Hyperparameter\n"
        "OURS = replace(BOUGHT_NEXT, name='aws-mine')\nTYPE = replace(BOUGHT_NEXT, name='x', recipe_type='SEARCH')\n"
        "FAMILY = replace(BOUGHT_NEXT, name='y', family=None)\nTWICE = BOUGHT_NEXT\n"
        "DEFAULT = replace(BOUGHT_NEXT, name='z', hyperparameters="
        "(Hyperparameter('weight', 'continuous', 2.0, 0.0, 1.0),))\n"
    )
    with caplog.at_level(logging.ERROR), importable(site):
        assert [name.rpartition("/")[2] for name in recipes() if "/aws-" not in name] == ["bought-next"]
    said = {record.getMessage() for record in caplog.records}
    for name, (_, reason) in lines.items():
        if name != "h-twice":
            assert any(name in line and reason in line for line in said), (name, said)
    assert any("has a recipe of this name" in line for line in said)
