"""Answers, errors and ARNs as they go over the wire."""

from __future__ import annotations

import orjson
import pytest
from botocore.session import get_session

from pipelines.aws import arns, errors, http
from pipelines.aws.errors import CONTROL, EVENTS, RUNTIME, AwsError


def subclasses(parent: type[AwsError]) -> list[type[AwsError]]:
    return [
        *parent.__subclasses__(),
        *(grandchild for child in parent.__subclasses__() for grandchild in subclasses(child)),
    ]


@pytest.mark.parametrize("service", [CONTROL, RUNTIME, EVENTS])
def test_modelled_errors_have_the_code_and_status_of_the_model(service: str) -> None:
    model = get_session().get_service_model(service)
    ours = {error.code: error("x") for error in subclasses(AwsError)}
    for shape in model.error_shapes:
        modelled = shape.metadata.get("error", {}).get("httpStatusCode", 400)
        assert ours[shape.name].status(service) == modelled


def test_an_error_names_its_type_in_body_and_header() -> None:
    answer = http.error(RUNTIME, errors.ResourceNotFound("no such"), "r-1")
    assert orjson.loads(answer.body) == {"__type": "ResourceNotFoundException", "message": "no such"}
    assert answer.status == 404
    assert answer.headers["x-amzn-ErrorType"] == "ResourceNotFoundException"
    assert (answer.headers["x-amzn-RequestId"], answer.headers["Content-Type"]) == ("r-1", "application/json")


def test_an_answer_is_json_of_its_service() -> None:
    answer = http.answer(CONTROL, {"a": 1}, "r-2")
    assert (answer.status, answer.body, answer.code) == (200, b'{"a":1}', "")
    assert answer.headers["Content-Type"] == "application/x-amz-json-1.1"
    assert (http.answer(EVENTS, None, "r").body, http.answer(CONTROL, None, "r").body) == (b"", b"{}")


def test_request_ids_are_uuids_and_never_the_same() -> None:
    assert len({http.new_request_id() for _ in range(100)}) == 100


def test_arns_are_built_and_taken_apart() -> None:
    arn = arns.build("SolutionVersion", "us-east-1", "123456789012", "taste", "0a1b2c3d")
    assert arn == "arn:aws:personalize:us-east-1:123456789012:solution/taste/0a1b2c3d"
    parsed = arns.parse(arn)
    assert (parsed.prefix, parsed.resource, parsed.account_id, str(parsed)) == (
        "solution",
        "taste/0a1b2c3d",
        "123456789012",
        arn,
    )
    assert arns.parse("arn:aws:personalize:::recipe/aws-sims").region == ""
    for wrong in (
        "x",
        "arn:aws:s3:::b",
        "arn:aws:personalize:us-east-1:123456789012:solution",
        "aws:personalize:a:b:c/d",
    ):
        with pytest.raises(ValueError, match="not an ARN"):
            arns.parse(wrong)


def test_latest_is_recognised() -> None:
    assert arns.is_latest("arn:aws:personalize:us-east-1:123456789012:solution/s/$LATEST")
    assert not arns.is_latest("arn:aws:personalize:us-east-1:123456789012:solution/s/0a1b2c3d")
