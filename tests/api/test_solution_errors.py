"""Every refusal about solutions and their versions: its code, and that the message names the member and the rule."""

from __future__ import annotations

import pytest

from tests.support.group import (
    INTERACTIONS,
    RECIPE,
    USER_PERSONALIZATION,
    Group,
    make_version,
    refused,
    schema_text,
)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "recipeArn: is required"),
        ({"recipeArn": RECIPE + "vod-top-picks"}, "CreateRecommender"),
        ({"performAutoML": True}, "not available yet: performAutoML"),
        ({"performAutoML": True, "recipeArn": USER_PERSONALIZATION}, "recipeArn: must be absent"),
        (
            {"performHPO": True, "recipeArn": RECIPE + "popularity-count"},
            "performHPO: aws-popularity-count has no hyperparameter that can be tuned",
        ),
        (
            {"performHPO": True, "solutionConfig": {"hpoConfig": {"hpoObjective": {"metricName": "loss"}}}},
            "solutionConfig.hpoConfig.hpoObjective: is not supported",
        ),
        # Without performHPO it is checked all the same.
        (
            {"hpoConfig": {"hpoResourceConfig": {"maxNumberOfTrainingJobs": "41"}}},
            "solutionConfig.hpoConfig.hpoResourceConfig.maxNumberOfTrainingJobs: '41' is not a whole number from 1 to 40",
        ),
        (
            {"hpoConfig": {"hpoResourceConfig": {"maxParallelTrainingJobs": "11"}}},
            "solutionConfig.hpoConfig.hpoResourceConfig.maxParallelTrainingJobs: '11' is not a whole number from 1 to 10",
        ),
        (
            {
                "hpoConfig": {
                    "algorithmHyperParameterRanges": {
                        "integerHyperParameterRanges": [{"name": "bptt", "minValue": 2, "maxValue": 64}]
                    }
                }
            },
            "algorithmHyperParameterRanges.integerHyperParameterRanges: bptt: 64 is outside [2, 32]",
        ),
        ({"performIncrementalUpdate": True}, "performIncrementalUpdate: only aws-semantic-similarity"),
        ({"algorithmHyperParameters": {"hidden_dimension": "31"}}, "algorithmHyperParameters: hidden_dimension"),
        ({"algorithmHyperParameters": {"hidden_dimension": "many"}}, "whole number"),
        ({"algorithmHyperParameters": {"depth": "1"}}, "'depth'"),
        ({"featureTransformationParameters": {"min_user_history_length_percentile": "2"}}, "[0, 1]"),
        ({"eventValueThreshold": "high"}, "solutionConfig.eventValueThreshold"),
        ({"eventValueThreshold": "inf"}, "solutionConfig.eventValueThreshold"),
        ({"eventValueThreshold": "1e999"}, "solutionConfig.eventValueThreshold"),
        ({"eventValueThreshold": "1_000"}, "solutionConfig.eventValueThreshold"),
        ({"autoMLConfig": {"metricName": "m"}}, "autoMLConfig: needs performAutoML"),
        (
            {"eventsConfig": {"eventParametersList": [{"eventType": "a"}]}},
            "not available yet: solutionConfig.eventsConfig",
        ),
        ({"optimizationObjective": {"itemAttribute": "PRICE"}}, "solutionConfig.optimizationObjective"),
        ({"optimizationObjective": {"objectiveSensitivity": "LOW"}}, "solutionConfig.optimizationObjective"),
        (
            {"trainingDataConfig": {"excludedDatasetColumns": {"Items": ["X"]}}},
            "trainingDataConfig.excludedDatasetColumns: the dataset group has no ITEMS dataset",
        ),
        (
            {"trainingDataConfig": {"includedDatasetColumns": {"Interactions": ["X"]}}},
            "trainingDataConfig.includedDatasetColumns.Interactions: 'X' is not a column",
        ),
        (
            {"trainingDataConfig": {"excludedDatasetColumns": {"INTERACTIONS": ["EVENT_TYPE"]}}},
            "trainingDataConfig.excludedDatasetColumns.INTERACTIONS: EVENT_TYPE cannot be excluded",
        ),
        ({"eventValueThreshold": "3"}, "solutionConfig.eventValueThreshold: the Interactions dataset has no column"),
        ({"autoTrainingConfig": {"schedulingExpression": "rate(31 days)"}}, "rate(N days)"),
        ({"autoTrainingConfig": {"schedulingExpression": "rate(0 days)"}}, "rate(N days)"),
    ],
)
def test_a_solution_says_which_member_it_cannot_honour(personalize, group: Group, given, said) -> None:
    top = {"performAutoML", "performHPO", "performIncrementalUpdate", "recipeArn"}
    if given and not top & given.keys():
        given = {"solutionConfig": given}
    if given and "performAutoML" not in given:
        given = {"recipeArn": USER_PERSONALIZATION, **given}
    code, message = refused(personalize.create_solution, name="s", datasetGroupArn=group.arn, **given)
    assert code == "InvalidInputException"
    assert said in message
    assert personalize.list_solutions()["solutions"] == []


def test_an_unknown_recipe_is_not_found(personalize, group: Group) -> None:
    given = {"name": "s", "datasetGroupArn": group.arn, "recipeArn": RECIPE + "no-such"}
    assert refused(personalize.create_solution, **given)[0] == "ResourceNotFoundException"


def test_event_type_and_value_need_their_columns(personalize) -> None:
    arn = personalize.create_dataset_group(name="plain")["datasetGroupArn"]
    given = {"datasetGroupArn": arn, "recipeArn": USER_PERSONALIZATION}
    # No dataset yet: nothing says that the column will not be there.
    personalize.create_solution(name="before", eventType="click", **given)
    fields = [*INTERACTIONS, {"name": "EVENT_VALUE", "type": ["null", "float"]}]
    schema = personalize.create_schema(name="plain", schema=schema_text(fields))["schemaArn"]
    personalize.create_dataset(name="d", datasetType="Interactions", datasetGroupArn=arn, schemaArn=schema)
    code, message = refused(personalize.create_solution, name="after", eventType="click", **given)
    assert (code, message) == ("InvalidInputException", "eventType: the Interactions dataset has no column EVENT_TYPE.")
    valued = personalize.create_solution(name="valued", solutionConfig={"eventValueThreshold": "3.5"}, **given)
    shown = personalize.describe_solution(solutionArn=valued["solutionArn"])["solution"]
    assert shown["solutionConfig"] == {"eventValueThreshold": "3.5"}


def test_a_search_needs_no_configuration(personalize, group: Group) -> None:
    arn = personalize.create_solution(
        name="s", datasetGroupArn=group.arn, recipeArn=USER_PERSONALIZATION, performHPO=True
    )["solutionArn"]
    shown = personalize.describe_solution(solutionArn=arn)["solution"]
    assert (shown["performHPO"], shown["solutionConfig"]) == (True, {})
    version = personalize.create_solution_version(solutionArn=arn)["solutionVersionArn"]
    shown = personalize.describe_solution_version(solutionVersionArn=version)["solutionVersion"]
    assert (shown["performHPO"], "tunedHPOParams" in shown) == (True, False)


def test_what_a_solution_honours_is_echoed(personalize, group: Group) -> None:
    fields = [{"name": "ITEM_ID", "type": "string"}, {"name": "PRICE", "type": ["null", "float"]}]
    schema = personalize.create_schema(name="items", schema=schema_text(fields, "Items"))["schemaArn"]
    personalize.create_dataset(name="items", datasetType="ITEMS", datasetGroupArn=group.arn, schemaArn=schema)
    config = {
        "algorithmHyperParameters": {"hidden_dimension": "64"},
        "hpoConfig": {
            "hpoResourceConfig": {"maxNumberOfTrainingJobs": "40", "maxParallelTrainingJobs": "10"},
            "algorithmHyperParameterRanges": {
                "integerHyperParameterRanges": [{"name": "training.bptt", "minValue": 2, "maxValue": 22}],
                "continuousHyperParameterRanges": [],
                "categoricalHyperParameterRanges": [{"name": "data.recency_mask", "values": ["true", "false"]}],
            },
        },
        "trainingDataConfig": {"excludedDatasetColumns": {"ITEMS": ["PRICE"]}},
        "featureTransformationParameters": {"max_user_history_length_percentile": "0.9"},
        "optimizationObjective": {"itemAttribute": "PRICE", "objectiveSensitivity": "OFF"},
        "autoTrainingConfig": {"schedulingExpression": "rate(1 day)"},
    }
    arn = personalize.create_solution(
        name="s",
        datasetGroupArn=group.arn,
        recipeArn=USER_PERSONALIZATION,
        eventType="click",
        performAutoTraining=False,
        performHPO=True,
        solutionConfig=config,
    )["solutionArn"]
    shown = personalize.describe_solution(solutionArn=arn)["solution"]
    assert (shown["solutionConfig"], shown["eventType"], shown["performAutoTraining"]) == (config, "click", False)
    version = personalize.create_solution_version(solutionArn=arn)["solutionVersionArn"]
    shown = personalize.describe_solution_version(solutionVersionArn=version)["solutionVersion"]
    assert (shown["solutionConfig"], shown["eventType"]) == (config, "click")


def test_a_version_needs_a_trainable_recipe_full_training_and_interactions(personalize, group: Group) -> None:
    other = personalize.create_solution(
        name="alike", datasetGroupArn=group.arn, recipeArn=RECIPE + "semantic-similarity"
    )
    code, message = refused(personalize.create_solution_version, solutionArn=other["solutionArn"])
    assert (code, message[:47]) == ("InvalidInputException", "not available yet: training aws-semantic-similarity"[:47])
    empty = personalize.create_dataset_group(name="empty")["datasetGroupArn"]
    given = {"datasetGroupArn": empty, "recipeArn": USER_PERSONALIZATION}
    solution = personalize.create_solution(name="s", **given)["solutionArn"]
    code, message = refused(personalize.create_solution_version, solutionArn=solution)
    assert (code, "Interactions" in message) == ("InvalidInputException", True)
    solution = personalize.create_solution(name="t", **{**given, "datasetGroupArn": group.arn})["solutionArn"]
    personalize.create_solution_version(solutionArn=solution, trainingMode="AUTOTRAIN")


def test_an_update_needs_a_full_version_that_is_active_and_a_recipe_that_takes_it(
    personalize, group: Group, move
) -> None:
    def solution(recipe: str) -> str:
        made = personalize.create_solution(name=recipe, datasetGroupArn=group.arn, recipeArn=RECIPE + recipe)
        return str(made["solutionArn"])

    def update(solution: str) -> str:
        made = personalize.create_solution_version(solutionArn=solution, trainingMode="UPDATE")
        return str(made["solutionVersionArn"])

    sims, taste = solution("sims"), solution("user-personalization")
    for arn in (sims, taste):
        version = personalize.create_solution_version(solutionArn=arn)["solutionVersionArn"]
        move(version, status="ACTIVE" if arn == sims else "CREATE FAILED")
    code, message = refused(update, solution=sims)
    assert (code, message.startswith("trainingMode: UPDATE is for aws-user-personalization")) == (
        "InvalidInputException",
        True,
    )
    code, message = refused(update, solution=taste)
    assert (code, "no ACTIVE version of trainingMode FULL" in message) == ("InvalidInputException", True)
    move(version, status="ACTIVE", internal={"metrics": {}})
    made = update(taste)
    shown = personalize.describe_solution_version(solutionVersionArn=made)["solutionVersion"]
    assert (shown["trainingMode"], shown["trainingType"]) == ("UPDATE", "MANUAL")


def test_versions_have_distinct_names_and_twenty_may_be_unfinished(personalize, group: Group) -> None:
    given = {"name": "s", "datasetGroupArn": group.arn, "recipeArn": USER_PERSONALIZATION}
    solution = personalize.create_solution(**given)["solutionArn"]
    named = personalize.create_solution_version(solutionArn=solution, name="monday")["solutionVersionArn"]
    assert personalize.describe_solution_version(solutionVersionArn=named)["solutionVersion"]["name"] == "monday"
    code, _ = refused(personalize.create_solution_version, solutionArn=solution, name="monday")
    assert code == "ResourceAlreadyExistsException"
    for _ in range(19):
        personalize.create_solution_version(solutionArn=solution)
    assert refused(personalize.create_solution_version, solutionArn=solution)[0] == "LimitExceededException"
    assert refused(personalize.delete_solution, solutionArn=solution)[0] == "ResourceInUseException"
    assert refused(personalize.delete_dataset, datasetArn=group.dataset)[0] == "ResourceInUseException"


def test_metrics_of_a_failed_version_say_why(personalize, group: Group, move) -> None:
    version = make_version(personalize, group, "s", move)
    move(version, status="CREATE FAILED", failure_reason="too few users")
    code, message = refused(personalize.get_solution_metrics, solutionVersionArn=version)
    assert (code, "too few users" in message) == ("InvalidInputException", True)


def test_versions_of_an_unknown_solution_are_not_found_while_other_lists_are_empty(personalize) -> None:
    nowhere = "arn:aws:personalize:us-east-1:123456789012:solution/none"
    assert refused(personalize.list_solution_versions, solutionArn=nowhere)[0] == "ResourceNotFoundException"
    assert personalize.list_campaigns(solutionArn=nowhere)["campaigns"] == []
