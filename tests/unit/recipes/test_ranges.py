"""hpoConfig as it is given becomes what is searched, or a refusal that names the member (spec/training.md 1, 5)."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from pipelines.recipes.catalogue import Recipe, recipe_by_name, recipes
from pipelines.recipes.hyperparameters import Hyperparameter, HyperparameterError
from pipelines.recipes.ranges import Search, read_search


def recipe(name: str = "aws-user-personalization") -> Recipe:
    found = recipe_by_name(name)
    assert found is not None
    return found


def ranges(**lists: Any) -> dict[str, Any]:
    """hpoConfig with ranges only, all three lists given."""
    return {
        "algorithmHyperParameterRanges": {
            f"{kind}HyperParameterRanges": lists.get(kind, []) for kind in ("integer", "continuous", "categorical")
        }
    }


def bounds(search: Search) -> dict[str, Any]:
    return search.to_params()["ranges"]  # type: ignore[no-any-return]


ALL = {
    "hidden_dimension": {"minimum": 32, "maximum": 256},
    "bptt": {"minimum": 2, "maximum": 32},
    "recency_mask": {"values": ["True", "False"]},
}


@pytest.mark.parametrize(
    "config",
    [{}, ranges(), {"hpoResourceConfig": {}}, {"algorithmHyperParameterRanges": {}}, {"hpoObjective": {}}],
)
def test_without_ranges_all_that_is_tunable_is_searched_with_ten_trials(config: dict[str, Any]) -> None:
    search = read_search(recipe(), config, {})
    assert (search.trials, bounds(search)) == (10, ALL)


def test_named_ranges_are_searched_and_nothing_else() -> None:
    config = ranges(integer=[{"name": "bptt", "minValue": 4, "maxValue": 16}])
    assert bounds(read_search(recipe(), config, {"hidden_dimension": "64"})) == {"bptt": {"minimum": 4, "maximum": 16}}


def test_prefixed_names_are_read_as_aws_shows_them() -> None:
    config = ranges(
        integer=[{"name": "training.bptt", "minValue": 2, "maxValue": 22}],
        categorical=[{"name": "data.recency_mask", "values": ["true", "TRUE"]}],
    )
    assert bounds(read_search(recipe(), config, {})) == {
        "bptt": {"minimum": 2, "maximum": 22},
        "recency_mask": {"values": ["True"]},
    }


def test_a_missing_bound_is_the_recipes() -> None:
    config = ranges(integer=[{"name": "bptt", "minValue": 8}])
    assert bounds(read_search(recipe(), config, {})) == {"bptt": {"minimum": 8, "maximum": 32}}


def test_continuous_ranges() -> None:
    config = ranges(continuous=[{"name": "popularity_discount_factor", "minValue": 0, "maxValue": 0.5}])
    assert bounds(read_search(recipe("aws-sims"), config, {})) == {
        "popularity_discount_factor": {"minimum": 0.0, "maximum": 0.5}
    }


def test_what_is_fixed_is_not_searched() -> None:
    assert list(bounds(read_search(recipe(), {}, {"bptt": "32"}))) == ["hidden_dimension", "recency_mask"]


@pytest.mark.parametrize(("jobs", "trials"), [("1", 1), ("40", 40), ("007", 7)])
def test_the_number_of_jobs_is_the_number_of_trials(jobs: str, trials: int) -> None:
    config = {"hpoResourceConfig": {"maxNumberOfTrainingJobs": jobs, "maxParallelTrainingJobs": "10"}}
    assert read_search(recipe(), config, {}).trials == trials


RESOURCES = "hpoConfig.hpoResourceConfig."
RANGES = "hpoConfig.algorithmHyperParameterRanges."
INTEGER, CONTINUOUS, CATEGORICAL = (
    f"{RANGES}{kind}HyperParameterRanges: " for kind in ("integer", "continuous", "categorical")
)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"hpoObjective": {"type": "Maximize"}}, "hpoConfig.hpoObjective: is not supported"),
        *[
            ({"hpoResourceConfig": {"maxNumberOfTrainingJobs": jobs}}, f"{RESOURCES}maxNumberOfTrainingJobs: '{jobs}'")
            for jobs in ("0", "41", "-1", "ten", "2.0", "", " 3", "٣", "9" * 200)
        ],
        *[
            ({"hpoResourceConfig": {"maxParallelTrainingJobs": jobs}}, f"{RESOURCES}maxParallelTrainingJobs: '{jobs}'")
            for jobs in ("0", "11", "two")
        ],
        (ranges(integer=[{"minValue": 2}]), f"{INTEGER}every range needs a name"),
        (ranges(integer=[{"name": "depth"}]), f"{INTEGER}'depth' cannot be tuned in aws-user-personalization; those"),
        (ranges(integer=[{"name": "max_user_history_length_percentile"}]), "cannot be tuned"),
        (ranges(integer=[{"name": "training.training.bptt"}]), "'training.training.bptt' cannot be tuned"),
        (ranges(continuous=[{"name": "bptt"}]), f"{CONTINUOUS}bptt is integer; give it in integerHyper"),
        (ranges(integer=[{"name": "recency_mask"}]), f"{INTEGER}recency_mask is boolean; give it in categorical"),
        (ranges(integer=[{"name": "bptt", "minValue": 1}]), f"{INTEGER}bptt: 1 is outside [2, 32]"),
        (ranges(integer=[{"name": "bptt", "maxValue": 33}]), f"{INTEGER}bptt: 33 is outside [2, 32]"),
        (ranges(integer=[{"name": "bptt", "minValue": 9, "maxValue": 8}]), "minValue 9 is more than maxValue 8"),
        (ranges(integer=[{"name": "bptt"}, {"name": "training.bptt"}]), f"{INTEGER}bptt is given twice"),
        (ranges(categorical=[{"name": "recency_mask", "values": []}]), "recency_mask: values must hold"),
        (ranges(categorical=[{"name": "recency_mask"}]), "recency_mask: values must hold"),
        (ranges(categorical=[{"name": "recency_mask", "values": ["yes"]}]), "'yes' is not True or False"),
        (ranges(integer=[{"name": "hidden_dimension"}]), "hidden_dimension is fixed by algorithmHyperParameters"),
    ],
)
def test_what_cannot_be_searched_is_refused_by_member(config: dict[str, Any], said: str) -> None:
    with pytest.raises(HyperparameterError) as refused:
        read_search(recipe(), config, {"hidden_dimension": "64"})
    assert said in str(refused.value)


def test_nothing_left_to_search_is_refused() -> None:
    with pytest.raises(
        HyperparameterError, match="nothing can be searched, because algorithmHyperParameters fixes all"
    ):
        read_search(recipe(), {}, {"hidden_dimension": "64", "bptt": "8", "recency_mask": "True"})
    for name in ("aws-popularity-count", "aws-trending-now", "aws-item-affinity"):
        with pytest.raises(HyperparameterError, match=f"{name} has none to tune"):
            read_search(recipe(name), {}, {})


def test_a_search_survives_params_yaml() -> None:
    for one in recipes().values():
        if any(parameter.tunable for parameter in one.hyperparameters):
            search = read_search(one, {}, {})
            assert Search.from_params(one, yaml.safe_load(yaml.safe_dump(search.to_params()))) == search


@pytest.mark.parametrize("bounds", [{"minimum": 0}, {"minimum": 0, "maximum": 1, "group": "featurization"}])
def test_what_is_tunable_is_bounded_and_of_the_algorithm(bounds: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="depth"):
        Hyperparameter("depth", "integer", 1, tunable=True, **bounds)
