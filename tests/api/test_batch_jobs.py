"""Batch inference and batch segment jobs through boto3: their life as clients see it, and every refusal."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from pipelines.aws.errors import InvalidInput
from pipelines.control import batch_inference_jobs
from pipelines.control.operations import IN_RUN
from pipelines.registry import store
from pipelines.registry.tables import outbox
from pipelines.registry.tags import tags_of
from tests.support.group import RECIPE, ROLE, Group, make_group, make_version, refused
from tests.support.registry import add

CONFIG = {"itemExplorationConfig": {"explorationWeight": "0.5", "explorationItemAgeCutOff": "7"}}


@pytest.fixture
def version(personalize: Any, group: Group, move: Any) -> str:
    return make_version(personalize, group, "taste", move)


def asked(
    version: str, name: str = "nightly", source: str = "s3://b/in/", to: str = "s3://b/out/", **given: Any
) -> Any:
    return {
        "jobName": name,
        "solutionVersionArn": version,
        "jobInput": {"s3DataSource": {"path": source}},
        "jobOutput": {"s3DataDestination": {"path": to}},
        "roleArn": ROLE,
        **given,
    }


def add_filter(conn: Any, group: Any, name: str, text: str, **columns: dict[str, str]) -> str:
    """The ARN of a filter that reads these columns."""
    return add(conn, "Filter", name, group=group, doc={"filterExpression": text}, internal={"columns": columns}).arn


def test_an_inference_job_from_request_to_end(personalize: Any, version: str, move: Any, db: Any) -> None:
    tags = [{"tagKey": "team", "tagValue": "a"}]
    arn = personalize.create_batch_inference_job(
        **asked(version, batchInferenceJobConfig=CONFIG, numResults=500, tags=tags)
    )["batchInferenceJobArn"]
    assert arn == "arn:aws:personalize:us-east-1:123456789012:batch-inference-job/nightly"
    shown = personalize.describe_batch_inference_job(batchInferenceJobArn=arn)["batchInferenceJob"]
    for timestamp in ("creationDateTime", "lastUpdatedDateTime"):
        assert shown.pop(timestamp)
    assert shown == {
        "jobName": "nightly", "batchInferenceJobArn": arn, "solutionVersionArn": version, "numResults": 500,
        "jobInput": {"s3DataSource": {"path": "s3://b/in/"}}, "jobOutput": {"s3DataDestination": {"path": "s3://b/out/"}},
        "batchInferenceJobConfig": CONFIG, "roleArn": ROLE, "batchInferenceJobMode": "BATCH_INFERENCE",
        "status": "CREATE PENDING",
    }  # fmt: skip
    with db.begin() as conn:
        [wish] = conn.execute(select(outbox).where(outbox.c.dag_id == "batch_inference")).all()
        job = store.get(conn, arn=arn)
        assert job is not None and (wish.resource_id, tags_of(conn, job.id)) == (job.id, {"team": "a"})
    move(arn, status="CREATE FAILED", failure_reason="no right")
    [listed] = personalize.list_batch_inference_jobs(solutionVersionArn=version)["batchInferenceJobs"]
    assert (listed["status"], listed["failureReason"], listed["batchInferenceJobMode"], listed["solutionVersionArn"]) == (
        "CREATE FAILED", "no right", "BATCH_INFERENCE", version,
    )  # fmt: skip


def test_a_segment_job_from_request_to_end(personalize: Any, version: str, move: Any, db: Any, settings: Any) -> None:
    move(version, doc={"recipeArn": RECIPE + "item-affinity"})
    arn = personalize.create_batch_segment_job(**asked(version, numResults=5_000_000))["batchSegmentJobArn"]
    assert arn.endswith(":batch-segment-job/nightly")
    assert refused(personalize.create_batch_segment_job, **asked(version))[0] == "ResourceAlreadyExistsException"
    code, message = refused(personalize.create_batch_segment_job, **asked(version, "more", numResults=5_000_001))
    assert (code, "1 to 5000000" in message) == ("InvalidInputException", True)
    [listed] = personalize.list_batch_segment_jobs(solutionVersionArn=version)["batchSegmentJobs"]
    assert (listed["jobName"], listed["status"]) == ("nightly", "CREATE PENDING")
    with db.begin() as conn:
        [wish] = conn.execute(select(outbox).where(outbox.c.dag_id == "batch_segment")).all()
    assert wish.conf["resource_arn"] == arn
    request = {key: asked(version)[key] for key in ("solutionVersionArn", "jobInput", "jobOutput")}
    with db.begin() as conn:
        by_hand = store.get(conn, id=IN_RUN["CreateBatchSegmentJob"](settings, conn, request, "manual__1", None))
    assert by_hand is not None and (by_hand.kind, by_hand.name) == ("BatchSegmentJob", "manual__1")
    move(by_hand.arn, status="ACTIVE")
    move(arn, status="ACTIVE")
    shown = personalize.describe_batch_segment_job(batchSegmentJobArn=arn)["batchSegmentJob"]
    assert (shown["status"], shown["numResults"]) == ("ACTIVE", 5_000_000)


def test_what_a_job_asks_for_is_checked(personalize: Any, version: str) -> None:
    create = personalize.create_batch_inference_job
    themes = {"fieldsForThemeGeneration": {"itemName": "TITLE"}}
    for given, words in (
        ({"numResults": 0}, "numResults must be 1 to 500, not 0"),
        ({"numResults": 501}, "numResults must be 1 to 500, not 501"),
        ({"batchInferenceJobMode": "THEME_GENERATION", "themeGenerationConfig": themes}, "for aws-similar-items only"),
        ({"themeGenerationConfig": themes}, "needs batchInferenceJobMode THEME_GENERATION"),
        (
            {"batchInferenceJobConfig": {"itemExplorationConfig": {"explorationWeight": "2"}}},
            "batchInferenceJobConfig.itemExplorationConfig.explorationWeight: '2' is not a number in [0, 1]",
        ),
        (
            {"batchInferenceJobConfig": {"rankingInfluence": {"FRESHNESS": 0.5}}},
            "not available yet: batchInferenceJobConfig.rankingInfluence",
        ),
        ({"source": "http://b/in/"}, "Invalid S3 input path. jobInput.s3DataSource.path 'http://b/in/' must be"),
        ({"source": "file:///etc/passwd"}, "Invalid S3 input path. 'file:///etc/passwd' is not below a folder of OPEN"),
        ({"to": "https://b/out/"}, "Invalid S3 output path. jobOutput.s3DataDestination: "),
        ({"to": "file:///etc/"}, "OPENPERSONALIZE_IMPORT_ROOTS"),
        ({"to": "s3://b/in"}, "Invalid S3 output path. jobOutput.s3DataDestination.path 's3://b/in' is the input's"),
    ):
        code, message = refused(create, **asked(version, **given))
        assert code == "InvalidInputException" and words in message, (given, message)
    assert personalize.list_batch_inference_jobs()["batchInferenceJobs"] == []


def test_versions_that_cannot_answer_are_refused(personalize: Any, version: str, move: Any) -> None:
    create = personalize.create_batch_inference_job
    for recipe in ("trending-now", "next-best-action", "item-affinity"):
        move(version, doc={"recipeArn": RECIPE + recipe})
        code, message = refused(create, **asked(version))
        assert code == "InvalidInputException" and f"aws-{recipe} is of type" in message
    move(version, doc={"recipeArn": RECIPE + "similar-items"})
    themes = {"batchInferenceJobMode": "THEME_GENERATION"}
    assert "not available yet" in refused(create, **asked(version, **themes))[1]
    assert refused(personalize.create_batch_segment_job, **asked(version))[0] == "InvalidInputException"
    move(version, internal={"dropped": {"at": "2026-01-01"}})
    assert "was dropped on 2026-01-01" in refused(create, **asked(version))[1]
    move(version, status="CREATE IN_PROGRESS")
    assert refused(create, **asked(version))[0] == "ResourceInUseException"
    for nowhere in (version[:-8] + "00000000", version[:-8] + "$LATEST"):
        assert refused(create, **asked(nowhere))[0] == "ResourceNotFoundException"


def test_a_filter_must_be_active_and_of_the_same_group(personalize: Any, version: str, move: Any, db: Any) -> None:
    other = make_group(personalize, "other")
    arns = {}
    with db.begin() as conn:
        for name, group_arn in (
            ("ours", version.split(":solution/")[0] + ":dataset-group/shop"),
            ("theirs", other.arn),
        ):
            group = store.get(conn, arn=group_arn)
            arns[name] = add_filter(conn, group, name, "INCLUDE ItemID WHERE Items.PRICE > 3", ITEMS={"PRICE": "float"})
        group = store.get(conn, arn=version.split(":solution/")[0] + ":dataset-group/shop")
        arns["users"] = add_filter(conn, group, "users", "INCLUDE UserID WHERE Users.AGE > 3", USERS={"AGE": "int"})
        seen = 'EXCLUDE UserID WHERE Interactions.EVENT_TYPE IN ("buy")'
        arns["buyers"] = add_filter(conn, group, "buyers", seen, INTERACTIONS={"EVENT_TYPE": "string"})
    create = personalize.create_batch_inference_job
    job = create(**asked(version, filterArn=arns["ours"]))["batchInferenceJobArn"]
    shown = personalize.describe_batch_inference_job(batchInferenceJobArn=job)["batchInferenceJob"]
    assert shown["filterArn"] == arns["ours"]
    code, message = refused(create, **asked(version, "x", filterArn=arns["theirs"]))
    assert (code, "another dataset group" in message) == ("InvalidInputException", True)
    assert refused(create, **asked(version, "x", filterArn=arns["ours"] + "x"))[0] == "ResourceNotFoundException"
    assert "is for UserID, and the job" in refused(create, **asked(version, "x", filterArn=arns["users"]))[1]
    segments = personalize.create_batch_segment_job
    move(version, doc={"recipeArn": RECIPE + "item-attribute-affinity"})
    assert "is for ItemID, and the job" in refused(segments, **asked(version, "x", filterArn=arns["ours"]))[1]
    assert "about Interactions" in refused(segments, **asked(version, "x", filterArn=arns["buyers"]))[1]
    segments(**asked(version, "by-attributes", filterArn=arns["users"]))
    move(version, doc={"recipeArn": RECIPE + "item-affinity"})
    segments(**asked(version, "by-item", filterArn=arns["buyers"]))
    move(version, doc={"recipeArn": RECIPE + "user-personalization"})
    move(arns["ours"], status="CREATE PENDING")
    assert refused(create, **asked(version, "x", filterArn=arns["ours"]))[0] == "ResourceInUseException"


def test_a_job_by_hand_keeps_its_solution_until_it_has_ended(
    personalize: Any, version: str, move: Any, db: Any, settings: Any
) -> None:
    request = {
        key: value for key, value in asked(version).items() if key in ("solutionVersionArn", "jobInput", "jobOutput")
    }
    with db.begin() as conn:
        id = batch_inference_jobs.create_in_run(settings, conn, request, "manual__2026-01-01T00:00", None)
        assert batch_inference_jobs.create_in_run(settings, conn, request, "manual__2026-01-01T00:00", None) == id
    bad = {**request, "jobOutput": {"s3DataDestination": {"path": "file:///etc"}}}
    with db.begin() as conn, pytest.raises(InvalidInput, match="IMPORT_ROOTS"):
        batch_inference_jobs.create_in_run(settings, conn, bad, "manual__2", None)
    [job] = personalize.list_batch_inference_jobs()["batchInferenceJobs"]
    assert job["jobName"] == "manual__2026-01-01T00-00"
    solution = version.rpartition("/")[0]
    code, message = refused(personalize.delete_solution, solutionArn=solution)
    assert (code, job["batchInferenceJobArn"] in message) == ("ResourceInUseException", True)
    move(job["batchInferenceJobArn"], status="ACTIVE")
    personalize.delete_solution(solutionArn=solution)
    assert refused(personalize.create_batch_inference_job, **asked(version))[0] == "ResourceInUseException"
