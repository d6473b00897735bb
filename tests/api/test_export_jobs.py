"""Export jobs through boto3: their life as clients see it, and every refusal."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, select

from pipelines.aws.errors import InvalidInput
from pipelines.control import export_jobs
from pipelines.registry import store
from pipelines.registry.tables import events, outbox
from pipelines.registry.tags import tags_of
from tests.support.group import ROLE, Group, make_group, refused

KEY = "arn:aws:kms:us-east-1:123456789012:key/1234"


def asked(group: Group, name: str = "out", path: str = "s3://bucket/folder/", **given: Any) -> dict[str, Any]:
    output = {"s3DataDestination": {"path": path, **given.pop("output", {})}}
    return {"jobName": name, "datasetArn": group.dataset, "roleArn": ROLE, "jobOutput": output, **given}


def test_a_job_from_request_to_end(personalize: Any, group: Group, move: Any, db: Any) -> None:
    arn = personalize.create_dataset_export_job(
        **asked(group, output={"kmsKeyArn": KEY}, tags=[{"tagKey": "team", "tagValue": "a"}])
    )["datasetExportJobArn"]
    assert arn == "arn:aws:personalize:us-east-1:123456789012:dataset-export-job/out"
    shown = personalize.describe_dataset_export_job(datasetExportJobArn=arn)["datasetExportJob"]
    assert {name: shown[name] for name in ("jobName", "datasetArn", "ingestionMode", "roleArn", "status")} == {
        "jobName": "out", "datasetArn": group.dataset, "ingestionMode": "PUT", "roleArn": ROLE, "status": "CREATE PENDING",
    }  # fmt: skip
    assert shown["jobOutput"] == {"s3DataDestination": {"path": "s3://bucket/folder/", "kmsKeyArn": KEY}}
    assert shown["creationDateTime"] and shown["lastUpdatedDateTime"] and "failureReason" not in shown
    with db.begin() as conn:
        [wish] = conn.execute(select(outbox)).all()
        job = store.get(conn, arn=arn)
        assert job is not None and tags_of(conn, job.id) == {"team": "a"}
    assert (wish.dag_id, wish.resource_id) == ("dataset_export", job.id)
    move(arn, status="CREATE FAILED", failure_reason="no right")
    [listed] = personalize.list_dataset_export_jobs(datasetArn=group.dataset)["datasetExportJobs"]
    assert (listed["status"], listed["failureReason"], listed["datasetExportJobArn"]) == (
        "CREATE FAILED",
        "no right",
        arn,
    )


def test_the_rows_are_those_of_the_moment_of_the_request(personalize: Any, group: Group, move: Any, db: Any) -> None:
    dataset = move(group.dataset, internal={"snapshot": {"tag": "data/x/1", "rows": 1}})
    row = {"group_id": dataset.group_id, "user_key": "u", "session_id": "s", "event_type": "w", "sent_at": 1.0}
    with db.begin() as conn:
        conn.execute(insert(events).values(event_id="1", **row))
    arn = personalize.create_dataset_export_job(**asked(group, ingestionMode="ALL"))["datasetExportJobArn"]
    with db.begin() as conn:
        job = store.get(conn, arn=arn)
    assert job is not None and job.internal == {"snapshot": "data/x/1", "cutoff": 1}


def test_jobs_are_listed_by_dataset_newest_first(personalize: Any, group: Group) -> None:
    other = make_group(personalize, "other")
    for name in ("one", "two"):
        personalize.create_dataset_export_job(**asked(group, name))
    personalize.create_dataset_export_job(**asked(other, "three"))
    names = [
        job["jobName"] for job in personalize.list_dataset_export_jobs(datasetArn=group.dataset)["datasetExportJobs"]
    ]
    assert names == ["two", "one"]
    first = personalize.list_dataset_export_jobs(maxResults=2)
    rest = personalize.list_dataset_export_jobs(nextToken=first["nextToken"])
    assert [job["jobName"] for job in first["datasetExportJobs"] + rest["datasetExportJobs"]] == ["three", "two", "one"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("https://bucket.s3.amazonaws.com/x", "must be s3://bucket/folder/ or file:///folder/"),
        ("s3:///x", "must be s3://bucket/folder/"),
        ("file:///etc/", "OPENPERSONALIZE_IMPORT_ROOTS"),
        ("file://elsewhere/x/", "OPENPERSONALIZE_IMPORT_ROOTS"),
        ("file:///x[%00", "not a file URL"),
    ],
)
def test_a_place_that_cannot_be_written_to_is_refused_at_once(
    personalize: Any, group: Group, path: str, words: str
) -> None:
    code, message = refused(personalize.create_dataset_export_job, **asked(group, path=path))
    assert code == "InvalidInputException"
    assert message.startswith("jobOutput.s3DataDestination: ") and words in message


def test_the_platforms_home_cannot_be_written_to(personalize: Any, group: Group, settings: Any) -> None:
    for inside in ("secrets", "groups/x", ""):
        code, _ = refused(personalize.create_dataset_export_job, **asked(group, path=(settings.home / inside).as_uri()))
        assert code == "InvalidInputException"
    personalize.create_dataset_export_job(**asked(group, path=(settings.home / "data" / "out").as_uri()))


def test_a_local_folder_takes_no_key(personalize: Any, group: Group, settings: Any) -> None:
    path = (settings.home / "data").as_uri()
    code, message = refused(personalize.create_dataset_export_job, **asked(group, path=path, output={"kmsKeyArn": KEY}))
    assert code == "InvalidInputException" and "kmsKeyArn is for s3:// only" in message


def test_names_datasets_states_and_numbers_are_checked(personalize: Any, group: Group, move: Any) -> None:
    create = personalize.create_dataset_export_job
    create(**asked(group))
    assert refused(create, **asked(group))[0] == "ResourceAlreadyExistsException"
    nowhere = {**asked(group, "x"), "datasetArn": group.dataset.replace("INTERACTIONS", "ITEMS")}
    assert refused(create, **nowhere)[0] == "ResourceNotFoundException"
    for n in range(4):
        create(**asked(group, f"more-{n}"))
    code, message = refused(create, **asked(group, "sixth"))
    assert code == "LimitExceededException"
    assert message.startswith("More than 5 resources with PENDING or IN_PROGRESS status.")
    move(group.dataset, status="DELETE PENDING")
    assert refused(create, **asked(group, "late"))[0] == "ResourceInUseException"


def test_an_export_by_hand_is_named_after_its_run_and_checked_like_a_request(
    personalize: Any, group: Group, settings: Any, db: Any
) -> None:
    request = {"datasetArn": group.dataset, "jobOutput": {"s3DataDestination": {"path": "s3://b/k"}}}
    ids = []
    for _ in range(2):
        with db.begin() as conn:
            ids.append(export_jobs.create_in_run(settings, conn, request, "manual__2026-01-01T00:00", None))
    assert ids[0] == ids[1]
    [shown] = personalize.list_dataset_export_jobs()["datasetExportJobs"]
    assert shown["jobName"] == "manual__2026-01-01T00-00"
    bad = {**request, "jobOutput": {"s3DataDestination": {"path": "file:///etc"}}}
    with db.begin() as conn, pytest.raises(InvalidInput, match="IMPORT_ROOTS"):
        export_jobs.create_in_run(settings, conn, bad, "manual__2", None)
