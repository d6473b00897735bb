"""Signed calls of the control plane without HTTP: what boto3 would send and read, less sockets and botocore's parsers.

A call takes a third of the time that boto3 takes against uvicorn, so a second of a test that draws its own operations
sees three times as many; signature, checks, operation, transaction and encoding are all run. Transport has its own tests.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from pipelines.aws.http import Answer
from pipelines.control.service import ControlPlane, Request
from pipelines.settings import Settings
from tests.conftest import ACCESS_KEY_ID, SECRET_ACCESS_KEY

HOST = "control.test"


class Refused(Exception):
    """A typed error answered."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Caller:
    """One client; any number of threads."""

    def __init__(self, settings: Settings) -> None:
        self.plane = ControlPlane(settings)
        self._region = settings.region

    def __call__(self, operation: str, **members: Any) -> dict[str, Any]:
        """The answer's members; raises Refused, and AssertionError for an answer that is a defect of ours."""
        answer = self.answer(operation, orjson.dumps(members))
        doc: dict[str, Any] = orjson.loads(answer.body)
        if answer.status == 200:
            return doc
        assert answer.status == 400, f"{operation} {members}: {answer.status} {doc}"
        assert doc["__type"] == answer.code and doc["message"], doc
        raise Refused(answer.code, doc["message"])

    def answer(self, operation: str, body: bytes) -> Answer:
        """What is answered to a signed request of now."""
        now = datetime.now(UTC)
        return self.plane.answer(signed(operation, body, now, self._region), now)

    def close(self) -> None:
        self.plane.close()


def signed(operation: str, body: bytes, now: datetime, region: str = "us-east-1", host: str = HOST) -> Request:
    """The request, signed with the tests' key."""
    headers = headers_of(operation, body, now, region, host)
    return Request("POST", "/", "", headers, body)


def headers_of(
    operation: str, body: bytes, now: datetime, region: str, host: str, path: str = "/"
) -> Mapping[str, str]:
    """Names in lower case."""
    stamp, target = f"{now:%Y%m%dT%H%M%SZ}", f"AmazonPersonalize.{operation}"
    scope, names = f"{stamp[:8]}/{region}/personalize/aws4_request", "host;x-amz-date;x-amz-target"
    canonical = f"POST\n{path}\n\nhost:{host}\nx-amz-date:{stamp}\nx-amz-target:{target}\n\n{names}\n"
    digest = hashlib.sha256((canonical + hashlib.sha256(body).hexdigest()).encode()).hexdigest()
    key = ("AWS4" + SECRET_ACCESS_KEY).encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    signature = hmac.digest(key, f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}".encode(), "sha256").hex()
    return {
        "host": host,
        "x-amz-date": stamp,
        "x-amz-target": target,
        "content-type": "application/x-amz-json-1.1",
        "authorization": f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/{scope}, SignedHeaders={names}, "
        f"Signature={signature}",
    }
