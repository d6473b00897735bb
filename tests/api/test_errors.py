"""Every refusal of the control plane: its code, and that the message names the member and the rule."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.group import (
    INTERACTIONS,
    RECIPE,
    ROLE,
    USER_PERSONALIZATION,
    Group,
    make_group,
    make_version,
    schema_text,
)


@pytest.fixture
def group(personalize) -> Group:
    return make_group(personalize, "shop")


def refused(call: Any, **given: Any) -> tuple[str, str]:
    """Code and message of the error that the call answers."""
    with pytest.raises(ClientError) as failure:
        call(**given)
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return failure.value.response["Error"]["Code"], failure.value.response["Error"]["Message"]


@pytest.mark.parametrize("given", [{"roleArn": ROLE}, {"kmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/k"}])
def test_role_and_key_of_a_group_come_together(personalize, given) -> None:
    code, message = refused(personalize.create_dataset_group, name="locked", **given)
    assert (code, "roleArn and kmsKeyArn" in message) == ("InvalidInputException", True)


def test_an_arn_of_another_kind_is_not_found(personalize, group: Group) -> None:
    code, message = refused(personalize.describe_campaign, campaignArn=group.arn)
    assert (code, group.arn in message) == ("ResourceNotFoundException", True)


# Datasets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dataset_type", "said"),
    [("PLANETS", "not a dataset type"), ("Actions", "not available yet"), ("ITEMS", "the schema's name says")],
)
def test_dataset_type_must_be_known_and_fit_the_schema(personalize, group: Group, dataset_type, said) -> None:
    given = {"name": "x", "datasetType": dataset_type, "datasetGroupArn": group.arn, "schemaArn": group.schema}
    code, message = refused(personalize.create_dataset, **given)
    assert (code, said in message) == ("InvalidInputException", True)


def test_a_second_dataset_of_a_type_is_refused(personalize, group: Group) -> None:
    given = {"name": "again", "datasetType": "INTERACTIONS", "datasetGroupArn": group.arn, "schemaArn": group.schema}
    assert refused(personalize.create_dataset, **given)[0] == "ResourceAlreadyExistsException"


def test_schema_and_group_must_be_of_one_domain(personalize, group: Group) -> None:
    video = make_group(personalize, "video", domain="VIDEO_ON_DEMAND")
    given = {"name": "x", "datasetType": "INTERACTIONS", "datasetGroupArn": video.arn, "schemaArn": group.schema}
    code, message = refused(personalize.create_dataset, **given)
    assert (code, "VIDEO_ON_DEMAND" in message) == ("InvalidInputException", True)


def test_a_group_that_is_being_deleted_takes_nothing_new(personalize, group: Group, move) -> None:
    move(group.arn, status="DELETE PENDING")
    for call, given in (
        (personalize.create_solution, {"name": "s", "recipeArn": USER_PERSONALIZATION}),
        (personalize.create_event_tracker, {"name": "t"}),
    ):
        assert refused(call, datasetGroupArn=group.arn, **given)[0] == "ResourceInUseException"


# Imports -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("http://example.com/x.csv", "Invalid Data location"),
        ("s3://", "regular expression"),
        ("s3://_bad/x", "s3://bucket/path"),
        ("file:///etc/passwd", "OPENPERSONALIZE_IMPORT_ROOTS"),
        ("file://{root}/link/passwd", "OPENPERSONALIZE_IMPORT_ROOTS"),
        ("file://{root}/../../../../../../../../../../etc/passwd", "OPENPERSONALIZE_IMPORT_ROOTS"),
        ("file://elsewhere{root}/x.csv", "OPENPERSONALIZE_IMPORT_ROOTS"),
        ("file:///a%00b", "not a file URL"),
        ("file://[/x", "not a file URL"),
    ],
)
def test_only_s3_and_files_below_an_import_root_can_be_imported(
    personalize, group: Group, settings, location, said
) -> None:
    root = settings.import_roots[0]
    root.mkdir(parents=True, exist_ok=True)
    (root / "link").symlink_to("/etc")
    location = location.replace("{root}", str(root))
    given = {"jobName": "j", "datasetArn": group.dataset, "dataSource": {"dataLocation": location}}
    code, message = refused(personalize.create_dataset_import_job, **given)
    assert code in ("InvalidInputException", "ValidationException")
    assert said in message


def test_a_file_below_an_import_root_is_accepted(personalize, group: Group, settings) -> None:
    source = {"dataLocation": f"file://{settings.import_roots[0]}/clicks.csv"}
    personalize.create_dataset_import_job(jobName="j", datasetArn=group.dataset, dataSource=source)
    [job] = personalize.list_dataset_import_jobs(datasetArn=group.dataset)["datasetImportJobs"]
    assert job["status"] == "CREATE PENDING"


def import_job(personalize, name: str, group: Group, **more: Any) -> dict[str, Any]:
    return {"jobName": name, "datasetArn": group.dataset, "dataSource": {"dataLocation": "s3://b/k"}, **more}


def test_incremental_needs_an_earlier_import(personalize, group: Group, move) -> None:
    given = import_job(personalize, "more", group, importMode="INCREMENTAL")
    code, message = refused(personalize.create_dataset_import_job, **given)
    assert (code, "INCREMENTAL" in message) == ("InvalidInputException", True)
    move(group.dataset, internal={"snapshot": {"tag": "t", "rows": 1}})
    personalize.create_dataset_import_job(**given)


def test_what_an_import_does_not_do_yet_is_refused_by_name(personalize, group: Group) -> None:
    given = import_job(personalize, "j", group, publishAttributionMetricsToS3=True)
    assert refused(personalize.create_dataset_import_job, **given) == (
        "InvalidInputException",
        "not available yet: publishAttributionMetricsToS3",
    )


def test_one_import_into_a_dataset_at_a_time(personalize, group: Group, move) -> None:
    first = personalize.create_dataset_import_job(**import_job(personalize, "one", group))["datasetImportJobArn"]
    code, message = refused(personalize.create_dataset_import_job, **import_job(personalize, "two", group))
    assert (code, first in message) == ("ResourceInUseException", True)
    # A taken name is said first, whatever else is wrong.
    code, _ = refused(personalize.create_dataset_import_job, **import_job(personalize, "one", group))
    assert code == "ResourceAlreadyExistsException"
    move(first, status="CREATE FAILED", failure_reason="why")
    personalize.create_dataset_import_job(**import_job(personalize, "two", group))
    assert (
        personalize.describe_dataset_import_job(datasetImportJobArn=first)["datasetImportJob"]["failureReason"] == "why"
    )


def test_a_dataset_is_in_use_while_it_is_imported(personalize, group: Group, move) -> None:
    job = personalize.create_dataset_import_job(**import_job(personalize, "one", group))["datasetImportJobArn"]
    code, message = refused(personalize.delete_dataset, datasetArn=group.dataset)
    assert (code, job in message) == ("ResourceInUseException", True)
    move(job, status="ACTIVE")
    personalize.delete_dataset(datasetArn=group.dataset)


def test_at_most_five_imports_are_unfinished(personalize) -> None:
    for i in range(5):
        group = make_group(personalize, f"g{i}")
        personalize.create_dataset_import_job(**import_job(personalize, f"j{i}", group))
    group = make_group(personalize, "g5")
    assert refused(personalize.create_dataset_import_job, **import_job(personalize, "j5", group)) == (
        "LimitExceededException",
        "More than 5 resources with PENDING or IN_PROGRESS status.",
    )
    assert personalize.list_dataset_import_jobs(datasetArn=group.dataset)["datasetImportJobs"] == []


# Solutions and versions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "recipeArn: is required"),
        ({"recipeArn": RECIPE + "vod-top-picks"}, "CreateRecommender"),
        ({"performAutoML": True}, "not available yet: performAutoML"),
        ({"performAutoML": True, "recipeArn": USER_PERSONALIZATION}, "recipeArn: must be absent"),
        ({"performHPO": True}, "not available yet: performHPO"),
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
            "trainingDataConfig.excludedDatasetColumns",
        ),
        (
            {"trainingDataConfig": {"includedDatasetColumns": {"Items": ["X"]}}},
            "trainingDataConfig.includedDatasetColumns",
        ),
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


def test_what_a_solution_honours_is_echoed(personalize, group: Group) -> None:
    config = {
        "algorithmHyperParameters": {"hidden_dimension": "64", "recency_mask": "False"},
        "featureTransformationParameters": {"max_user_history_length_percentile": "0.9"},
        "eventValueThreshold": "3.5",
        "optimizationObjective": {"itemAttribute": "PRICE", "objectiveSensitivity": "OFF"},
        "autoTrainingConfig": {"schedulingExpression": "rate(1 day)"},
    }
    arn = personalize.create_solution(
        name="s",
        datasetGroupArn=group.arn,
        recipeArn=USER_PERSONALIZATION,
        eventType="click",
        performAutoTraining=False,
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
    code, message = refused(personalize.create_solution_version, solutionArn=solution, trainingMode="UPDATE")
    assert (code, "UPDATE" in message) == ("InvalidInputException", True)
    personalize.create_solution_version(solutionArn=solution, trainingMode="AUTOTRAIN")


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


# Event trackers ------------------------------------------------------------------------------------------


def test_one_tracker_a_group_until_it_is_deleted(personalize, group: Group) -> None:
    made = personalize.create_event_tracker(name="web", datasetGroupArn=group.arn)
    shown = personalize.describe_event_tracker(eventTrackerArn=made["eventTrackerArn"])["eventTracker"]
    assert (shown["trackingId"], shown["accountId"], shown["status"]) == (made["trackingId"], "123456789012", "ACTIVE")
    code, _ = refused(personalize.create_event_tracker, name="web2", datasetGroupArn=group.arn)
    assert code == "ResourceAlreadyExistsException"
    assert refused(personalize.delete_dataset_group, datasetGroupArn=group.arn)[0] == "ResourceInUseException"
    personalize.delete_event_tracker(eventTrackerArn=made["eventTrackerArn"])
    personalize.create_event_tracker(name="web", datasetGroupArn=group.arn)


def test_the_dataset_of_streamed_events_of_old_can_be_deleted(personalize, group: Group, db) -> None:
    from sqlalchemy import select

    from pipelines.registry import store
    from pipelines.registry.tables import events

    row = {"user_key": "u", "session_id": "s", "event_type": "t", "sent_at": 1.0}
    with db.begin() as conn:
        found = store.get(conn, arn=group.arn)
        assert found is not None
        conn.execute(events.insert(), [{**row, "group_id": g, "event_id": "e"} for g in (found.id, "another")])
    personalize.delete_dataset(datasetArn=group.dataset.replace("INTERACTIONS", "EVENT_INTERACTIONS"))
    with db.begin() as conn:
        assert conn.execute(select(events.c.group_id)).scalars().all() == ["another"]
    gone = group.dataset.replace("shop/INTERACTIONS", "none/EVENT_INTERACTIONS")
    assert refused(personalize.delete_dataset, datasetArn=gone)[0] == "ResourceNotFoundException"


# Schemas -------------------------------------------------------------------------------------------------


def test_a_schema_that_is_not_avro_is_refused_by_field_and_rule(personalize) -> None:
    fields = [*INTERACTIONS[:2], {"name": "TIMESTAMP", "type": "string"}]
    code, message = refused(personalize.create_schema, name="s", schema=schema_text(fields))
    assert (code, message) == (
        "InvalidInputException",
        "schema: field TIMESTAMP: must have the type long, not string.",
    )
