"""params.yaml of a version: the solution's configuration, with the recipe's defaults."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pipelines.registry.store import Resource
from pipelines.versions.errors import VersionFailed
from pipelines.versions.lookup import Subject
from pipelines.versions.params import params

CODE = {"version": "1", "digest": "d"}
RECIPE = "arn:aws:personalize:::recipe/aws-user-personalization"


ITEMS = ["ITEM_ID", "GENRES", "PRICE"]


def subject(**doc: Any) -> Subject:
    at = datetime(2026, 1, 1, tzinfo=UTC)

    def resource(kind: str, doc: dict[str, Any], **internal: Any) -> Resource:
        return Resource("0" * 16, kind, "arn", "n", "g", None, None, "ACTIVE", None, doc, internal, None, at, at)

    solution = resource("Solution", {"recipeArn": RECIPE, "eventType": "old"}, columns={"ITEMS": ITEMS})
    return Subject(resource("SolutionVersion", doc), solution)


def test_defaults_of_the_recipe_are_written_out() -> None:
    made = params(subject(solutionConfig={}), CODE)
    assert made["code"] == CODE
    assert made["solution"] == {
        "recipe": "aws-user-personalization",
        "event_type": "old",
        "event_value_threshold": None,
        "columns": {"ITEMS": ITEMS},
    }
    assert made["hpo"] is None
    assert set(made["hyperparameters"]) == {"hidden_dimension", "bptt", "recency_mask"}
    assert set(made["featurization"]) == {"min_user_history_length_percentile", "max_user_history_length_percentile"}
    assert made["training"] == {"seed": 0, "threads": 2}


def test_what_the_version_was_created_with_counts_not_what_the_solution_became() -> None:
    made = params(
        subject(
            eventType="watch",
            solutionConfig={"eventValueThreshold": "3.5", "algorithmHyperParameters": {"hidden_dimension": "64"}},
        ),
        CODE,
    )
    assert made["solution"]["event_type"] == "watch"
    assert made["solution"]["event_value_threshold"] == 3.5
    assert made["hyperparameters"]["hidden_dimension"] == 64


def test_a_search_is_written_out_with_its_ranges() -> None:
    assert params(subject(performHPO=True), CODE)["hpo"] == {
        "trials": 10,
        "ranges": {
            "hidden_dimension": {"minimum": 32, "maximum": 256},
            "bptt": {"minimum": 2, "maximum": 32},
            "recency_mask": {"values": ["True", "False"]},
        },
    }
    config = {
        "hpoConfig": {
            "hpoResourceConfig": {"maxNumberOfTrainingJobs": "3"},
            "algorithmHyperParameterRanges": {
                "integerHyperParameterRanges": [{"name": "training.bptt", "minValue": 8}]
            },
        }
    }
    hpo = params(subject(performHPO=True, solutionConfig=config), CODE)["hpo"]
    assert hpo == {"trials": 3, "ranges": {"bptt": {"minimum": 8, "maximum": 32}}}
    assert params(subject(performHPO=False, solutionConfig=config), CODE)["hpo"] is None


def test_columns_are_those_of_the_solutions_creation_less_the_excluded() -> None:
    config = {"trainingDataConfig": {"excludedDatasetColumns": {"Items": ["PRICE"]}}}
    assert params(subject(solutionConfig=config), CODE)["solution"]["columns"] == {"ITEMS": ["ITEM_ID", "GENRES"]}


@pytest.mark.parametrize(
    ("doc", "words"),
    [
        ({"solutionConfig": {"algorithmHyperParameters": {"hidden_dimension": "1"}}}, "hidden_dimension"),
        ({"recipeArn": "arn:aws:personalize:::recipe/none"}, "recipe/none"),
        ({"performHPO": True, "solutionConfig": {"algorithmHyperParameters": {"bptt": "0"}}}, "bptt"),
        (
            {"solutionConfig": {"trainingDataConfig": {"excludedDatasetColumns": {"USERS": ["AGE"]}}}},
            "no USERS dataset",
        ),
    ],
)
def test_what_the_recipe_does_not_allow_is_named(doc: dict[str, Any], words: str) -> None:
    with pytest.raises(VersionFailed, match=words):
        params(subject(**doc), CODE)
