"""Every refusal of the control plane: its code, and that the message names the member and the rule."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.group import (
    INTERACTIONS,
    ROLE,
    USER_PERSONALIZATION,
    Group,
    make_group,
    refused,
    schema_text,
)


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
    [("PLANETS", "not a dataset type"), ("Actions", "the schema's name says"), ("ITEMS", "the schema's name says")],
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
    code, message = refused(personalize.create_dataset_import_job, **import_job(personalize, "j5", group))
    assert code == "LimitExceededException"
    assert message.startswith("More than 5 resources with PENDING or IN_PROGRESS status.")
    assert personalize.list_dataset_import_jobs(datasetArn=group.dataset)["datasetImportJobs"] == []


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
