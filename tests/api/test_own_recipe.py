"""A recipe of another package, seen by clients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.group import Group
from tests.support.own_package import importable, install

ARN = "arn:aws:personalize:::recipe/bought-next"


def test_a_recipe_of_another_package_is_listed_described_and_taken(
    personalize: Any, group: Group, tmp_path: Path
) -> None:
    with importable(install(tmp_path / "site")):
        names = [
            recipe["name"]
            for page in personalize.get_paginator("list_recipes").paginate()
            for recipe in page["recipes"]
        ]
        assert names == sorted(names)
        assert "bought-next" in names
        assert personalize.describe_recipe(recipeArn=ARN)["recipe"]["recipeType"] == "RELATED_ITEMS"
        config = {"algorithmHyperParameters": {"window": "5"}}
        solution = personalize.create_solution(
            name="next", datasetGroupArn=group.arn, recipeArn=ARN, solutionConfig=config
        )["solutionArn"]
        assert personalize.describe_solution(solutionArn=solution)["solution"]["recipeArn"] == ARN
        with pytest.raises(ClientError, match="window"):
            config["algorithmHyperParameters"]["window"] = "0"
            personalize.create_solution(name="no", datasetGroupArn=group.arn, recipeArn=ARN, solutionConfig=config)
