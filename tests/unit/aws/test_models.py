"""Requests against the service model: what deserialises, what breaks a constraint, what is dropped."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import orjson
import pytest
from botocore.model import Shape

from pipelines.aws import models
from pipelines.aws.errors import CONTROL, EVENTS, RUNTIME, Serialization, UnknownOperation, Validation
from pipelines.aws.patterns import compile_java

CAMPAIGN = "arn:aws:personalize:us-east-1:123456789012:campaign/c"


def parse(operation: str, service: str = CONTROL, **given):
    return models.parse_input(service, operation, orjson.dumps(given))


def test_null_is_absent_and_unknown_members_are_dropped() -> None:
    given = {"name": "g", "domain": None, "unknown": 1, "tags": [{"tagKey": "k", "tagValue": "", "more": 2}]}
    assert parse("CreateDatasetGroup", **given) == {"name": "g", "tags": [{"tagKey": "k", "tagValue": ""}]}


def test_an_empty_body_is_an_empty_request() -> None:
    assert models.parse_input(CONTROL, "ListSchemas", b" ") == {}
    with pytest.raises(Validation, match="2 validation errors"):
        models.parse_input(CONTROL, "CreateSchema", b"")


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'"x"', b"3", b'{"name":"\xff"}', b'{"name":NaN}', b'{"name":"\\ud800"}']
)
def test_what_is_no_json_object_does_not_deserialise(body: bytes) -> None:
    with pytest.raises(Serialization):
        models.parse_input(CONTROL, "CreateSchema", body)


@pytest.mark.parametrize(
    ("operation", "given", "member"),
    [
        ("ListSchemas", {"maxResults": "3"}, "maxResults"),
        ("ListSchemas", {"maxResults": 3.0}, "maxResults"),
        ("ListSchemas", {"maxResults": True}, "maxResults"),
        ("ListSchemas", {"maxResults": 1 << 31}, "maxResults"),
        ("CreateSchema", {"name": 3}, "name"),
        ("CreateSolution", {"performHPO": "true"}, "performHPO"),
        ("CreateSolution", {"performHPO": 0}, "performHPO"),
        ("CreateSolution", {"solutionConfig": []}, "solutionConfig"),
        ("CreateSolution", {"tags": {}}, "tags"),
        ("CreateSolution", {"tags": [{"tagKey": 1}]}, "tags.1.member.tagKey"),
        (
            "CreateSolution",
            {"solutionConfig": {"algorithmHyperParameters": {"bptt": 3}}},
            "algorithmHyperParameters.bptt",
        ),
    ],
)
def test_no_type_is_coerced(operation: str, given, member: str) -> None:
    with pytest.raises(Serialization, match=re.escape(member)):
        parse(operation, **given)


def test_a_wrong_type_comes_before_every_constraint() -> None:
    with pytest.raises(Serialization):
        parse("CreateSchema", name="-", schema=3)


def test_every_broken_constraint_is_named_in_one_message() -> None:
    with pytest.raises(Validation) as refused:
        parse("CreateDatasetGroup", name="-x", domain="MARS", tags=[{"tagKey": ""}])
    assert str(refused.value).startswith("4 validation errors detected: ")
    for said in (
        "Value '-x' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern",
        "Value 'MARS' at 'domain' failed to satisfy constraint: Member must satisfy enum value set: [ECOMMERCE, VIDEO_ON_DEMAND]",
        "Value '' at 'tags.1.member.tagKey' failed to satisfy constraint: Member must have length greater than or equal to 1",
        "Value null at 'tags.1.member.tagValue' failed to satisfy constraint: Member must not be null",
    ):
        assert said in str(refused.value)


def test_numbers_lists_and_maps_have_bounds() -> None:
    with pytest.raises(Validation, match="value less than or equal to 100"):
        parse("ListSchemas", maxResults=101)
    with pytest.raises(Validation, match=r"'eventList' .*length less than or equal to 10"):
        parse("PutEvents", EVENTS, trackingId="t", sessionId="s", eventList=[{"eventType": "e", "sentAt": 1}] * 11)
    with pytest.raises(Validation, match=r"'filterValues' .*length less than or equal to 25"):
        parse("GetRecommendations", RUNTIME, filterValues={f"k{i}": "v" for i in range(26)})


def test_what_postgresql_cannot_store_is_refused() -> None:
    with pytest.raises(Validation, match=r"U\+0000"):
        parse("CreateSolution", name="s", datasetGroupArn=CAMPAIGN, eventType="a\0b")


def test_imports_and_exports_may_name_local_files_and_no_other_places() -> None:
    job = {"jobName": "j", "datasetArn": CAMPAIGN, "dataSource": {"dataLocation": "file:///data/x.csv"}}
    assert parse("CreateDatasetImportJob", **job)["dataSource"] == {"dataLocation": "file:///data/x.csv"}
    output = {"s3DataDestination": {"path": "file:///data/"}}
    export = {"jobName": "j", "datasetArn": CAMPAIGN, "roleArn": "arn:aws:iam::123456789012:role/r"}
    assert parse("CreateDatasetExportJob", **export, jobOutput=output)["jobOutput"] == output
    with pytest.raises(Validation, match=r"jobOutput.s3DataDestination.path"):
        parse("CreateDatasetExportJob", **export, jobOutput={"s3DataDestination": {"path": "ftp://data/"}})


def test_timestamps_become_epoch_seconds() -> None:
    event = {"eventType": "e", "sentAt": 1700000000}
    parsed = parse("PutEvents", EVENTS, trackingId="t", sessionId="s", eventList=[event])
    assert parsed["eventList"] == [{"eventType": "e", "sentAt": 1700000000.0}]
    with pytest.raises(Serialization, match="epoch seconds"):
        parse("PutEvents", EVENTS, trackingId="t", sessionId="s", eventList=[{**event, "sentAt": "2026-01-01"}])


def test_answers_hold_modelled_members_only_and_no_null() -> None:
    doc = {
        "schema": {
            "name": "s",
            "domain": None,
            "status": "ACTIVE",
            "creationDateTime": datetime(2026, 1, 1, 0, 0, 0, 123456, UTC),
            "lastUpdatedDateTime": 5,
        },
        "internal": 1,
    }
    assert models.shape_output(CONTROL, "DescribeSchema", doc) == {
        "schema": {"name": "s", "creationDateTime": 1767225600.123, "lastUpdatedDateTime": 5}
    }
    assert models.shape_output(CONTROL, "DeleteSchema", doc) == {}


def test_operations_are_found_by_target_and_by_path() -> None:
    assert models.operation_for_target(CONTROL, "AmazonPersonalize.ListSchemas") == "ListSchemas"
    assert models.rest_operation(RUNTIME, "/recommendations") == "GetRecommendations"
    assert models.rest_operation(EVENTS, "/events") == "PutEvents"
    for wrong in ("AmazonPersonalize.Nothing", "ListSchemas", "Other.ListSchemas", ""):
        with pytest.raises(UnknownOperation):
            models.operation_for_target(CONTROL, wrong)
    with pytest.raises(UnknownOperation):
        models.rest_operation(RUNTIME, "/events")


def every_shape() -> list[Shape]:
    found = [models.service_model(service) for service in (CONTROL, RUNTIME, EVENTS)]
    return [model.shape_for(name) for model in found for name in model.shape_names]


def test_every_pattern_of_the_service_models_compiles() -> None:
    patterns = {shape.metadata["pattern"] for shape in every_shape() if "pattern" in shape.metadata}
    assert len(patterns) > 10
    for pattern in patterns:
        compile_java(pattern)


def test_every_operation_has_a_checker_and_a_shaper() -> None:
    for service in (CONTROL, RUNTIME, EVENTS):
        for operation in models.service_model(service).operation_names:
            with pytest.raises(Serialization):
                models.parse_input(service, operation, b"[]")
            models.shape_output(service, operation, {})


def test_tag_patterns_know_letters_of_every_script_and_digits_are_ascii() -> None:
    tag = compile_java(r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$")
    assert tag.fullmatch("ключ ünï 名前 Ⅷ\u00a0@")
    assert not tag.fullmatch("a!")
    assert not compile_java(r"\d{2}").fullmatch("٣٤")
    assert not compile_java("^a$").fullmatch("a\n")
