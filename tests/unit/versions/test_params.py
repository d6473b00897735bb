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


def subject(**doc: Any) -> Subject:
    at = datetime(2026, 1, 1, tzinfo=UTC)

    def resource(kind: str, doc: dict[str, Any]) -> Resource:
        return Resource("0" * 16, kind, "arn", "n", "g", None, None, "ACTIVE", None, doc, {}, None, at, at)

    return Subject(resource("SolutionVersion", doc), resource("Solution", {"recipeArn": RECIPE, "eventType": "old"}))


def test_defaults_of_the_recipe_are_written_out() -> None:
    made = params(subject(solutionConfig={}), CODE)
    assert made["code"] == CODE
    assert made["solution"] == {
        "recipe": "aws-user-personalization",
        "event_type": "old",
        "event_value_threshold": None,
        "columns": {},
    }
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


@pytest.mark.parametrize(
    ("doc", "words"),
    [
        ({"solutionConfig": {"algorithmHyperParameters": {"hidden_dimension": "1"}}}, "hidden_dimension"),
        ({"recipeArn": "arn:aws:personalize:::recipe/none"}, "recipe/none"),
    ],
)
def test_what_the_recipe_does_not_allow_is_named(doc: dict[str, Any], words: str) -> None:
    with pytest.raises(VersionFailed, match=words):
        params(subject(**doc), CODE)
