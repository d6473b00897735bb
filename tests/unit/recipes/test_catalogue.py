"""The recipes that clients can name, and what may be said to them (spec/recipes.md)."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipelines.recipes.catalogue import recipe_by_arn, recipe_by_name, recipes
from pipelines.recipes.hyperparameters import HyperparameterError

CUSTOM = [
    "aws-user-personalization-v2",
    "aws-user-personalization",
    "aws-personalized-ranking-v2",
    "aws-personalized-ranking",
    "aws-similar-items",
    "aws-sims",
    "aws-semantic-similarity",
    "aws-popularity-count",
    "aws-trending-now",
    "aws-item-affinity",
    "aws-item-attribute-affinity",
    "aws-next-best-action",
    "aws-hrnn",
    "aws-hrnn-metadata",
    "aws-hrnn-coldstart",
]
USE_CASES = [
    "aws-vod-because-you-watched-x",
    "aws-vod-more-like-x",
    "aws-vod-most-popular",
    "aws-vod-trending-now",
    "aws-vod-top-picks",
    "aws-ecomm-popular-items-by-views",
    "aws-ecomm-popular-items-by-purchases",
    "aws-ecomm-frequently-bought-together",
    "aws-ecomm-customers-who-viewed-x-also-viewed",
    "aws-ecomm-recommended-for-you",
]


def test_every_recipe_of_the_specification_is_listed_in_order_of_name() -> None:
    assert [recipe.name for recipe in recipes().values()] == sorted(CUSTOM + USE_CASES)


def test_recipes_are_found_by_arn() -> None:
    recipe = recipe_by_arn("arn:aws:personalize:::recipe/aws-sims")
    assert recipe is not None
    assert recipe.name == "aws-sims"
    assert recipe_by_arn("arn:aws:personalize:::recipe/aws-no-such") is None


def test_domain_recipes_carry_their_domain_in_name_and_field() -> None:
    for recipe in recipes().values():
        expected = {"vod": "VIDEO_ON_DEMAND", "ecomm": "ECOMMERCE"}.get(recipe.name.split("-")[1])
        assert recipe.domain == expected


@pytest.mark.parametrize("name", ["aws-user-personalization", "aws-personalized-ranking"])
def test_the_score_giving_recipes_have_the_specified_defaults(name: str) -> None:
    recipe = recipe_by_name(name)
    assert recipe is not None
    assert recipe.algorithm_values({}) == {"hidden_dimension": 149, "bptt": 32, "recency_mask": True}
    assert recipe.featurization_values({}) == {
        "min_user_history_length_percentile": 0.0,
        "max_user_history_length_percentile": 0.99,
    }
    assert {p.name for p in recipe.hyperparameters if p.tunable} == {"hidden_dimension", "bptt", "recency_mask"}
    assert recipe.trainable


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_dimension", "31"),
        ("hidden_dimension", "257"),
        ("hidden_dimension", "64.5"),
        ("hidden_dimension", ""),
        ("hidden_dimension", "9" * 30),
        ("hidden_dimension", "-+64"),
        ("hidden_dimension", "6_4"),
        ("hidden_dimension", "٦٤"),
        ("bptt", "1"),
        ("bptt", "33"),
        ("recency_mask", "yes"),
        ("no_such", "1"),
        ("min_user_history_length_percentile", "0.1"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_name(name: str, value: str) -> None:
    recipe = recipe_by_name("aws-user-personalization")
    assert recipe is not None
    with pytest.raises(HyperparameterError, match=name):
        recipe.algorithm_values({name: value})


@pytest.mark.parametrize(("text", "value"), [("32", 32), ("256", 256), (" 64 ", 64), ("+55", 55)])
def test_both_ends_of_a_range_are_allowed(text: str, value: int) -> None:
    recipe = recipe_by_name("aws-user-personalization")
    assert recipe is not None
    assert recipe.algorithm_values({"hidden_dimension": text})["hidden_dimension"] == value


@pytest.mark.parametrize("value", ["-0.1", "1.01", "nan", "inf", "many", "0.5_0", "1e999"])
def test_percentiles_are_numbers_between_0_and_1(value: str) -> None:
    recipe = recipe_by_name("aws-personalized-ranking")
    assert recipe is not None
    with pytest.raises(HyperparameterError, match="max_user_history_length_percentile"):
        recipe.featurization_values({"max_user_history_length_percentile": value})


def test_a_lower_percentile_above_the_upper_one_is_refused() -> None:
    recipe = recipe_by_name("aws-user-personalization")
    assert recipe is not None
    low, high = "min_user_history_length_percentile", "max_user_history_length_percentile"
    assert recipe.featurization_values({low: "0.5", high: "0.5"}) == {low: 0.5, high: 0.5}
    with pytest.raises(HyperparameterError, match=f"{low}: 1.0 is more than {high}, which is 0.99"):
        recipe.featurization_values({low: "1"})


@pytest.mark.parametrize(("text", "value"), [("True", True), ("false", False), ("FALSE", False)])
def test_booleans_are_read_in_any_case(text: str, value: bool) -> None:
    recipe = recipe_by_name("aws-user-personalization")
    assert recipe is not None
    assert recipe.algorithm_values({"recency_mask": text})["recency_mask"] is value


def test_the_catalogue_loads_neither_torch_nor_numpy() -> None:
    code = "import sys, pipelines.recipes.catalogue; print([m for m in ('torch', 'numpy', 'onnx') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
