"""Which columns a solution learns from (spec/training.md section 1)."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.recipes.training_columns import ColumnError, training_columns

THERE = {
    "INTERACTIONS": ["USER_ID", "ITEM_ID", "EVENT_TYPE", "EVENT_VALUE", "TIMESTAMP", "DEVICE"],
    "ITEMS": ["GENRES", "ITEM_ID", "CREATION_TIMESTAMP", "PRICE"],
}


def columns(**config: Any) -> dict[str, list[str]]:
    return training_columns(THERE, {"trainingDataConfig": config})


@pytest.mark.parametrize(
    "config", [{}, {"trainingDataConfig": {}}, {"trainingDataConfig": {"excludedDatasetColumns": {}}}]
)
def test_all_columns_of_the_time_of_creation_are_used(config: dict[str, Any]) -> None:
    assert training_columns(THERE, config) == THERE
    assert training_columns({}, config) == {}


def test_excluded_columns_are_left_out_in_the_schemas_order() -> None:
    used = columns(excludedDatasetColumns={"Items": ["PRICE", "GENRES"], "interactions": []})
    assert used == {**THERE, "ITEMS": ["ITEM_ID", "CREATION_TIMESTAMP"]}


def test_only_included_columns_are_used_with_those_that_rows_need() -> None:
    used = columns(includedDatasetColumns={"ITEMS": ["PRICE"], "INTERACTIONS": []})
    assert used == {
        "ITEMS": ["ITEM_ID", "PRICE"],
        "INTERACTIONS": ["USER_ID", "ITEM_ID", "EVENT_TYPE", "EVENT_VALUE", "TIMESTAMP"],
    }


def test_one_dataset_may_exclude_and_another_include() -> None:
    used = columns(includedDatasetColumns={"ITEMS": ["PRICE"]}, excludedDatasetColumns={"INTERACTIONS": ["DEVICE"]})
    assert (used["ITEMS"], "DEVICE" in used["INTERACTIONS"]) == (["ITEM_ID", "PRICE"], False)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            {"excludedDatasetColumns": {"ACTIONS": ["X"]}},
            "excludedDatasetColumns: 'ACTIONS' is not one of INTERACTIONS",
        ),
        ({"includedDatasetColumns": {"films": ["X"]}}, "includedDatasetColumns: 'films' is not one of"),
        ({"excludedDatasetColumns": {"USERS": ["AGE"]}}, "the dataset group has no USERS dataset"),
        ({"excludedDatasetColumns": {"ITEMS": ["PRICE"], "Items": ["GENRES"]}}, "ITEMS is given twice"),
        ({"excludedDatasetColumns": {"Items": ["COLOUR"]}}, "excludedDatasetColumns.Items: 'COLOUR' is not a column"),
        (
            {"includedDatasetColumns": {"ITEMS": ["price"]}},
            "'price' is not a column of the ITEMS dataset; it has GENRES",
        ),
        ({"excludedDatasetColumns": {"INTERACTIONS": ["EVENT_TYPE"]}}, "EVENT_TYPE cannot be excluded"),
        ({"excludedDatasetColumns": {"INTERACTIONS": ["TIMESTAMP"]}}, "TIMESTAMP cannot be excluded"),
        (
            {"excludedDatasetColumns": {"ITEMS": ["ITEM_ID"]}},
            "excludedDatasetColumns.ITEMS: ITEM_ID cannot be excluded",
        ),
        (
            {"excludedDatasetColumns": {"ITEMS": ["PRICE"]}, "includedDatasetColumns": {"items": ["GENRES"]}},
            "ITEMS has includedDatasetColumns too",
        ),
    ],
)
def test_what_cannot_be_left_out_or_chosen_is_named(config: dict[str, Any], said: str) -> None:
    with pytest.raises(ColumnError) as refused:
        columns(**config)
    assert said in str(refused.value)


def test_event_values_are_excluded_unless_they_choose_the_rows() -> None:
    config = {"trainingDataConfig": {"excludedDatasetColumns": {"INTERACTIONS": ["EVENT_VALUE"]}}}
    assert "EVENT_VALUE" not in training_columns(THERE, config)["INTERACTIONS"]
    with pytest.raises(ColumnError, match="eventValueThreshold needs it"):
        training_columns(THERE, {**config, "eventValueThreshold": "3"})
