"""Every way in which a request is refused: the type that boto3 raises, the status, the request id, the word that helps."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from pipelines.aws import models
from pipelines.aws.errors import EVENTS, RUNTIME
from tests.runtime.conftest import Standing
from tests.support.runtime import client, event

INVALID, NOT_FOUND = "InvalidInputException", "ResourceNotFoundException"
ARN = "arn:aws:personalize:us-east-1:123456789012:"


def refusal(call: Any, **members: Any) -> tuple[str, int, str]:
    """(code, HTTP status, message) of a call that must fail, with the request id checked."""
    with pytest.raises(ClientError) as raised:
        call(**members)
    answer = raised.value.response
    assert answer["ResponseMetadata"]["RequestId"] == answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]
    assert type(raised.value).__name__ in (answer["Error"]["Code"], "ClientError")
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


@pytest.mark.parametrize(
    ("members", "code", "status", "says"),
    [
        ({"userId": "1"}, INVALID, 400, "none of them"),
        ({"campaignArn": ARN + "campaign/a", "recommenderArn": ARN + "recommender/a"}, INVALID, 400, "both"),
        ({"recommenderArn": ARN + "recommender/a", "userId": "1"}, NOT_FOUND, 404, "recommender/a"),
        ({"campaignArn": ARN + "campaign/missing", "userId": "1"}, NOT_FOUND, 404, "campaign/missing"),
        ({"campaignArn": "<recommend>"}, INVALID, 400, "userId is required"),
        ({"campaignArn": "<recommend>", "itemId": "i1"}, INVALID, 400, "userId is required"),
        ({"campaignArn": "<recommend>", "userId": "1", "numResults": 501}, INVALID, 400, "at most 500"),
        ({"campaignArn": "<recommend>", "userId": "1", "numResults": -1}, "ValidationException", 400, "numResults"),
        ({"campaignArn": "<recommend>", "userId": "1", "numResults": "3"}, "SerializationException", 400, "numResults"),
        ({"campaignArn": "<recommend>", "userId": "x" * 257}, "ValidationException", 400, "userId"),
        ({"campaignArn": "<recommend>", "userId": "a\x00b"}, "ValidationException", 400, "userId"),
        ({"campaignArn": "<rank>", "userId": "1"}, INVALID, 400, "GetPersonalizedRanking"),
        ({"campaignArn": "<recommend>", "userId": "1", "filterArn": ARN + "filter/f"}, NOT_FOUND, 404, "filter/f"),
        ({"campaignArn": "<recommend>", "userId": "1", "filterValues": {"A": '"x"'}}, INVALID, 400, "filterArn"),
        (
            {"campaignArn": "<recommend>", "userId": "1", "metadataColumns": {"ITEMS": ["GENRES"]}},
            INVALID,
            400,
            "enableMetadataWithRecommendations",
        ),
        (
            {"campaignArn": "<recommend>", "userId": "1", "promotions": [{"name": "p", "percentPromotedItems": 50}]},
            INVALID,
            400,
            "promotions",
        ),
    ],
)
def test_get_recommendations_refuses(
    standing: Standing, members: dict[str, Any], code: str, status: int, says: str
) -> None:
    answer = refusal(standing.recommendations.get_recommendations, **real(standing, members))
    assert answer[:2] == (code, status) and says in answer[2]


@pytest.mark.parametrize(
    ("members", "code", "status", "says"),
    [
        ({"campaignArn": ARN + "campaign/no", "userId": "1", "inputList": ["i1"]}, NOT_FOUND, 404, "campaign/no"),
        ({"campaignArn": "<recommend>", "userId": "1", "inputList": ["i1"]}, INVALID, 400, "GetRecommendations"),
        ({"campaignArn": "<rank>", "userId": "1", "inputList": []}, INVALID, 400, "inputList"),
        ({"campaignArn": "<rank>", "userId": "1", "inputList": ["i"] * 501}, INVALID, 400, "not 501"),
        ({"campaignArn": "<rank>", "inputList": ["i1"]}, "ValidationException", 400, "userId"),
        ({"campaignArn": "<rank>", "userId": "1", "inputList": [7]}, "SerializationException", 400, "inputList.1"),
        (
            {"campaignArn": "<rank>", "userId": "1", "inputList": ["i1"], "filterArn": ARN + "filter/f"},
            NOT_FOUND,
            404,
            "filter/f",
        ),
        (
            {"campaignArn": "<rank>", "userId": "1", "inputList": ["i1"], "metadataColumns": {"ITEMS": ["GENRES"]}},
            INVALID,
            400,
            "metadataColumns",
        ),
    ],
)
def test_get_personalized_ranking_refuses(
    standing: Standing, members: dict[str, Any], code: str, status: int, says: str
) -> None:
    answer = refusal(standing.recommendations.get_personalized_ranking, **real(standing, members))
    assert answer[:2] == (code, status) and says in answer[2]


@pytest.mark.parametrize(
    ("method", "members", "code", "status"),
    [
        ("get_action_recommendations", {"campaignArn": ARN + "campaign/no"}, NOT_FOUND, 404),
        ("get_action_recommendations", {"campaignArn": "<recommend>", "userId": "1"}, INVALID, 400),
        ("get_action_recommendations", {"userId": "1"}, INVALID, 400),
    ],
)
def test_what_is_not_available_yet_is_refused_with_a_type(
    standing: Standing, method: str, members: dict[str, Any], code: str, status: int
) -> None:
    assert refusal(getattr(standing.recommendations, method), **real(standing, members))[:2] == (code, status)


@pytest.mark.parametrize(
    ("secret", "headers", "code"),
    [
        ("wrong", {}, "InvalidSignatureException"),
        (None, {}, "MissingAuthenticationTokenException"),
        ("harness-not-a-secret", {"key": "AKIANOBODYKNOWSTHIS0"}, "UnrecognizedClientException"),
        ("harness-not-a-secret", {"region": "eu-west-1"}, "InvalidSignatureException"),
    ],
)
@pytest.mark.parametrize(("service", "path"), [(RUNTIME, "/recommendations"), (EVENTS, "/events")])
def test_a_wrong_signature_is_403_with_its_type(
    standing: Standing, service: str, path: str, secret: str | None, headers: dict[str, str], code: str
) -> None:
    status, answer, doc = post(standing.url, path, b"{}", secret=secret, **headers)
    assert (status, answer["x-amzn-errortype"], doc["__type"]) == (403, code, code)
    assert doc["message"] and answer["x-amzn-requestid"]


@pytest.mark.parametrize("path", ["/recommendations", "/personalize-ranking", "/events", "/items"])
@pytest.mark.parametrize("body", [b'{"a": ', b"[]", b'"x"', b'{"name": "\xff\xfe"}', b"nope", b"1e999"])
def test_what_is_no_json_object_is_a_serialization_error(standing: Standing, path: str, body: bytes) -> None:
    status, answer, _ = post(standing.url, path, body)
    assert (status, answer["x-amzn-errortype"]) == (400, "SerializationException")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/no-such-path"), ("POST", "/"), ("GET", "/recommendations"), ("GET", "/"), ("PUT", "/events")],
)
def test_an_unknown_path_or_method_is_a_typed_404(standing: Standing, method: str, path: str) -> None:
    status, answer, doc = post(standing.url, path, b"{}", method=method)
    assert (status, answer["x-amzn-errortype"]) == (404, "UnknownOperationException")
    assert path in doc["message"] and answer["x-amzn-requestid"]


def test_a_body_beyond_every_bound_is_refused(standing: Standing) -> None:
    status, answer, _ = post(standing.url, "/recommendations", b" " * (3 << 20))
    assert (status, answer["x-amzn-errortype"]) == (413, "RequestEntityTooLargeException")


def test_an_answer_has_its_type_and_a_request_id(standing: Standing) -> None:
    body = json.dumps({"campaignArn": standing.campaign, "userId": "u1", "unknownMember": 1, "itemId": None}).encode()
    status, answer, doc = post(standing.url, "/recommendations", body)
    assert (status, answer["content-type"]) == (200, "application/json")
    assert answer["x-amzn-requestid"] and set(doc) == {"itemList", "recommendationId"}


def test_a_defect_is_a_typed_500_without_a_stack_trace(standing: Standing, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("pipelines.serving.recommender.Recommender.recommend", broken)
    code, status, message = refusal(
        standing.recommendations.get_recommendations, campaignArn=standing.campaign, userId="u1"
    )
    assert (code, status) == ("InternalFailure", 500) and "secret detail" not in message


def test_every_operation_of_both_services_has_an_answer(standing: Standing) -> None:
    for service in (RUNTIME, EVENTS):
        model = models.service_model(service)
        for operation in model.operation_names:
            status, answer, _ = post(standing.url, model.operation_model(operation).http["requestUri"], b"{}")
            assert status == 400 and answer["x-amzn-errortype"] != "UnknownOperationException", operation


def test_modelled_errors_are_raised_as_their_classes(standing: Standing) -> None:
    runtime = client(RUNTIME, standing.url)
    with pytest.raises(runtime.exceptions.ResourceNotFoundException):
        runtime.get_recommendations(campaignArn=ARN + "campaign/no", userId="1")
    log = client(EVENTS, standing.url)
    with pytest.raises(log.exceptions.InvalidInputException):
        log.put_events(trackingId="no-such", sessionId="s", eventList=[event("i1")])


def real(standing: Standing, members: dict[str, Any]) -> dict[str, Any]:
    """`members` with the placeholders of campaigns replaced by what exists."""
    names = {"<recommend>": standing.campaign, "<rank>": standing.ranking}
    return {key: names.get(value, value) if isinstance(value, str) else value for key, value in members.items()}


def post(
    url: str,
    path: str,
    body: bytes,
    *,
    secret: str | None = "harness-not-a-secret",
    key: str = "AKIAIOSFODNN7EXAMPLE",
    region: str = "us-east-1",
    method: str = "POST",
) -> tuple[int, dict[str, str], Any]:
    """(status, headers with lower-case names, document) of a raw request, signed unless `secret` is None."""
    request = AWSRequest(method=method, url=url + path, data=body, headers={"Content-Type": "application/json"})
    if secret is not None:
        SigV4Auth(Credentials(key, secret), "personalize", region).add_auth(request)
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request(method, path, body, dict(request.headers))
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, json.loads(answer.read())
    finally:
        connection.close()
