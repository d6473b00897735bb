"""What no client of AWS sends: never an internal error, never a hang, never a stack trace in an answer."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from pipelines.aws import models
from pipelines.aws.errors import CONTROL
from pipelines.control.operations import OPERATIONS
from pipelines.quotas import Quotas
from pipelines.settings import Settings
from tests.support.calling import Caller, headers_of
from tests.support.fuzz import BODIES, attacks, bodies, check_typed, check_wire, exchange
from tests.support.kinds import KINDS

A_FEW = 500
"""Of the bodies of all operations, in CI."""


@pytest.fixture
def call(settings: Settings) -> Iterator[Caller]:
    made = Caller(replace(settings, quotas=Quotas(off=True)))
    yield made
    made.close()


@pytest.fixture
def known(call: Caller, move: Callable[..., Any]) -> dict[str, str]:
    """The ARN of an ACTIVE resource of each kind, by the member that holds one: checks behind the shapes are reached."""
    known: dict[str, str] = {}
    for kind in KINDS.values():
        if kind.name == "BatchSegmentJob":
            continue  # no version of the tests' recipe makes segments
        parent = known[f"{kind.parent[0].lower()}{kind.parent[1:]}Arn"] if kind.parent else None
        given = kind.create("known", parent, **({"schemaArn": known["schemaArn"]} if kind.name == "Dataset" else {}))
        if kind.domain:
            given["datasetGroupArn"] = call("CreateDatasetGroup", name="domain", domain=kind.domain)["datasetGroupArn"]
        known[kind.arn] = call(f"Create{kind.name}", **given)[kind.arn]
        if kind.born is not None:
            move(known[kind.arn], status=kind.done)
    return known


def all_bodies(known: dict[str, str]) -> Iterator[tuple[str, bytes]]:
    """(operation, body) of every operation with every place wrong in every way."""
    for operation in OPERATIONS:
        yield from ((operation, body) for body in bodies(CONTROL, operation, base(operation, known)))


def base(operation: str, known: dict[str, str]) -> dict[str, Any]:
    """A request that is right, or nearly: creates name what is there, and what has a name gets a new one each time."""
    shape: Any = models.service_model(CONTROL).operation_model(operation).input_shape
    kind = KINDS.get(operation.removeprefix("Create"))
    asked = kind.create("fuzzed") if kind else {}
    arns = {name: known[name] for name in shape.members if name in known and not operation.startswith("Delete")}
    return {**asked, **arns} if shape else {}


def test_bodies_with_one_place_wrong_get_typed_answers(call: Caller, known: dict[str, str]) -> None:
    everything = list(all_bodies(known))
    for operation, body in random.Random(6).sample(everything, A_FEW):
        ask(call, operation, body)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_bodies_with_each_place_wrong_in_each_way_get_typed_answers(call: Caller, known: dict[str, str]) -> None:
    for operation, body in all_bodies(known):
        ask(call, operation, body)


@pytest.mark.parametrize("operation", ["CreateSchema", "ListCampaigns", "TagResource"])
def test_bodies_that_are_no_requests_get_typed_answers(call: Caller, operation: str) -> None:
    for body in BODIES:
        ask(call, operation, body)


def test_a_megabyte_of_wrong_members_is_not_answered_with_twenty(call: Caller) -> None:
    body = (
        b'{"name": "a", "solutionConfig": {"autoMLConfig": {"recipeList": [' + b",".join([b'"x"'] * 200_000) + b"]}}}"
    )
    ask(call, "CreateSolution", body)


def ask(call: Caller, operation: str, body: bytes) -> None:
    answer = call.answer(operation, body)
    check_typed(answer.status, answer.body, (operation, body))


def test_http_that_is_none_breaks_nothing(url: str) -> None:
    at = urlsplit(url)
    assert at.port is not None
    body = b"{}"

    def head() -> list[str]:
        headers = headers_of("ListSchemas", body, datetime.now(UTC), "us-east-1", at.netloc)
        return ["POST / HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]

    for what, sent in attacks(head, body):
        check_wire(what, exchange(at.port, sent))
    whole = "\r\n".join([*head(), f"content-length: {len(body)}", "", ""]).encode() + body
    assert b" 200 " in exchange(at.port, whole).split(b"\r\n", 1)[0]
