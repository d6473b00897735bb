"""What no client of AWS sends to the runtime: never an internal error, never a hang, never a stack trace in an answer."""

from __future__ import annotations

import http.client
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from pipelines.aws import models
from pipelines.aws.errors import EVENTS, RUNTIME
from tests.runtime.conftest import Standing
from tests.support.fuzz import BODIES, SECONDS, attacks, bodies, check_typed, check_wire, exchange
from tests.support.load import signed_request, signed_requests

A_FEW = 500
"""Of the bodies of all operations, in CI."""


def all_bodies(standing: Standing) -> Iterator[tuple[str, bytes]]:
    """(path, body) of every operation with every place wrong in every way."""
    for service in (RUNTIME, EVENTS):
        for operation in models.service_model(service).operation_names:
            path = models.service_model(service).operation_model(operation).http["requestUri"]
            yield from ((path, body) for body in bodies(service, operation, base(operation, standing)))


def base(operation: str, standing: Standing) -> dict[str, Any]:
    """A request that is right, of operations that there are."""
    event = {"eventType": "watch", "itemId": "i1", "sentAt": 1.7e9}
    return {
        "GetRecommendations": {"campaignArn": standing.campaign, "userId": "u1"},
        "GetPersonalizedRanking": {"campaignArn": standing.ranking, "userId": "u1", "inputList": ["i1", "i2"]},
        "PutEvents": {
            "trackingId": standing.shop.tracking_id,
            "userId": "u1",
            "sessionId": "s",
            "eventList": [event],
        },
    }.get(operation, {})


def ask(standing: Standing, asked: list[tuple[str, bytes]]) -> None:
    """All over one connection, in turn."""
    connection = http.client.HTTPConnection(urlsplit(standing.url).netloc, timeout=SECONDS)
    for path, body in asked:
        [request] = signed_requests(standing.url, path, [body])
        head, _, _ = request.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        check_typed(answer.status, answer.read(), (path, body))
    connection.close()


def test_bodies_with_one_place_wrong_get_typed_answers(standing: Standing) -> None:
    ask(standing, random.Random(6).sample(list(all_bodies(standing)), A_FEW))


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_bodies_with_each_place_wrong_in_each_way_get_typed_answers(standing: Standing) -> None:
    ask(standing, list(all_bodies(standing)))


@pytest.mark.parametrize("path", ["/recommendations", "/events"])
def test_bodies_that_are_no_requests_get_typed_answers(standing: Standing, path: str) -> None:
    ask(standing, [(path, body) for body in BODIES])


def test_http_that_is_none_breaks_nothing(standing: Standing) -> None:
    port, body = urlsplit(standing.url).port, b'{"campaignArn": ""}'
    assert port is not None

    def head() -> list[str]:
        lines = signed_request(standing.url, "/recommendations", body).partition(b"\r\n\r\n")[0].decode().split("\r\n")
        return [line for line in lines if not line.lower().startswith("content-length")]

    for what, sent in attacks(head, body):
        check_wire(what, exchange(port, sent))
    assert standing.recommendations.get_recommendations(campaignArn=standing.campaign, userId="u1")["itemList"]
