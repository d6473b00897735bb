"""Answers and errors on the wire: JSON 1.1 for the control plane, REST-JSON for runtime and events.

Encoding only; no web framework. Both the FastAPI app and the Starlette runtime turn an `Answer` into a response.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from pipelines.aws.errors import CONTROL, AwsError

JSON_1_1 = "application/x-amz-json-1.1"
REST_JSON = "application/json"


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, ready to send."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    code: str = ""
    """The error code for the access log; empty when the answer is no error."""


def new_request_id() -> str:
    """A value for x-amzn-RequestId; it also runs through access log, registry, DAG run and task log."""
    return str(uuid.uuid4())


def answer(service: str, doc: Mapping[str, Any] | None, request_id: str) -> Answer:
    """HTTP 200 with `doc` (already shaped); None is an operation without output, which REST-JSON answers with no body."""
    body = b"" if doc is None and service != CONTROL else orjson.dumps(doc or {})
    return Answer(200, _headers(service, request_id), body)


def error(service: str, failure: AwsError, request_id: str) -> Answer:
    """The typed error that botocore turns into `client.exceptions.<code>`."""
    headers = {**_headers(service, request_id), "x-amzn-ErrorType": failure.code}
    body = orjson.dumps({"__type": failure.code, "message": failure.message})
    return Answer(failure.status(service), headers, body, failure.code)


def _headers(service: str, request_id: str) -> dict[str, str]:
    content_type = JSON_1_1 if service == CONTROL else REST_JSON
    return {"Content-Type": content_type, "x-amzn-RequestId": request_id}
