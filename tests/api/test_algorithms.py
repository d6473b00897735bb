"""DescribeAlgorithm and DescribeFeatureTransformation: the catalogue's hyperparameters as AWS shows them."""

from __future__ import annotations

from typing import Any

from tests.support.group import RECIPE, refused

ALGORITHM = "arn:aws:personalize:::algorithm/"
FEATURES = "arn:aws:personalize:::feature-transformation/"


def algorithm(personalize: Any, name: str) -> Any:
    shown = personalize.describe_algorithm(algorithmArn=ALGORITHM + name)["algorithm"]
    assert (shown["name"], shown["algorithmArn"]) == (name, ALGORITHM + name)
    assert shown["creationDateTime"] and shown["lastUpdatedDateTime"]
    return shown


def test_an_algorithm_shows_defaults_as_strings_and_what_can_be_tuned(personalize: Any) -> None:
    shown = algorithm(personalize, "aws-user-personalization")
    assert shown["defaultHyperParameters"] == {"hidden_dimension": "149", "bptt": "32", "recency_mask": "True"}
    assert shown["defaultHyperParameterRanges"] == {
        "integerHyperParameterRanges": [
            {"name": "hidden_dimension", "minValue": 32, "maxValue": 256, "isTunable": True},
            {"name": "bptt", "minValue": 2, "maxValue": 32, "isTunable": True},
        ],
        "continuousHyperParameterRanges": [],
        "categoricalHyperParameterRanges": [{"name": "recency_mask", "values": ["True", "False"], "isTunable": True}],
    }
    ranges = algorithm(personalize, "aws-sims")["defaultHyperParameterRanges"]
    assert ranges["continuousHyperParameterRanges"] == [
        {"name": "popularity_discount_factor", "minValue": 0.0, "maxValue": 1.0, "isTunable": True}
    ]
    [fixed] = algorithm(personalize, "aws-item-affinity")["defaultHyperParameterRanges"]["integerHyperParameterRanges"]
    assert fixed == {"name": "hidden_dimension", "minValue": 32, "maxValue": 256, "isTunable": False}
    assert algorithm(personalize, "aws-popularity-count")["defaultHyperParameters"] == {}


def test_a_feature_transformation_shows_its_parameters(personalize: Any) -> None:
    call = personalize.describe_feature_transformation
    shown = call(featureTransformationArn=FEATURES + "JSON-percentile-filtering")["featureTransformation"]
    assert shown["creationDateTime"] and shown["lastUpdatedDateTime"]
    assert {name: shown[name] for name in ("name", "featureTransformationArn", "defaultParameters", "status")} == {
        "name": "JSON-percentile-filtering",
        "featureTransformationArn": FEATURES + "JSON-percentile-filtering",
        "defaultParameters": {
            "min_user_history_length_percentile": "0.0",
            "max_user_history_length_percentile": "0.99",
        },
        "status": "ACTIVE",
    }
    cold = call(featureTransformationArn=FEATURES + "featurize_coldstart")["featureTransformation"]
    assert cold["defaultParameters"]["cold_start_relative_from"] == "latestItem"
    sims = call(featureTransformationArn=FEATURES + "sims")["featureTransformation"]
    assert sims["defaultParameters"]["max_item_interaction_count_percentile"] == "0.9"


def test_what_a_recipe_names_can_be_described(personalize: Any) -> None:
    for summary in personalize.list_recipes()["recipes"]:
        recipe = personalize.describe_recipe(recipeArn=summary["recipeArn"])["recipe"]
        assert personalize.describe_algorithm(algorithmArn=recipe["algorithmArn"])
        named = recipe["featureTransformationArn"]
        assert personalize.describe_feature_transformation(featureTransformationArn=named)


def test_what_no_recipe_names_does_not_exist(personalize: Any) -> None:
    name = "AWS-SIMS"
    assert refused(personalize.describe_algorithm, algorithmArn=ALGORITHM + name)[0] == ("ResourceNotFoundException")
    call = personalize.describe_feature_transformation
    assert refused(call, featureTransformationArn=FEATURES + name)[0] == "ResourceNotFoundException"
    # A recipe is neither.
    assert refused(personalize.describe_algorithm, algorithmArn=RECIPE + "sims")[0] == "ResourceNotFoundException"
