"""One HTTP request on the wire: body, signature, operation, answer, access log, counters.

Plain ASGI without a framework's request and response objects, because this runs around every score. Whatever goes
wrong leaves as a typed AWS error with a request id; a stack trace only ever goes to the log.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from time import perf_counter
from typing import Any

from bento.runtime import NO_CAMPAIGN, Runtime
from pipelines.aws import access, http, models, sigv4
from pipelines.aws.access import Key
from pipelines.aws.errors import (
    EVENTS,
    RUNTIME,
    AwsError,
    InternalFailure,
    RequestEntityTooLarge,
    ServiceUnavailable,
    UnknownOperation,
)

# Unlike AWS, limits: requests are not limited in rate and nothing answers ThrottlingException. Rates protect machines
# that strangers share; these are your own.
MOST_BODY_BYTES = 2 * 1024 * 1024
"""More than the largest request can be: 500 ids of 256 characters, 150 context values of 1,000."""
NO_OPERATION = NO_KEY = "-"

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

log = logging.getLogger("openpersonalize.runtime")
access_log = logging.getLogger("openpersonalize.access")


@dataclass(slots=True)
class Seen:
    """What is known of a request so far."""

    operation: str
    key: Key | None = None
    """Who signed it."""
    call: dict[str, Any] | None = None
    """Its members, once they are known to be well-formed."""


class Disconnected(Exception):
    """The client went away before its request was whole."""


class Wire:
    """The ASGI endpoint of every operation, and of every path that is none.

    `runtime` is there between start and stop; without it clients are told to come again.
    """

    def __init__(self) -> None:
        self.runtime: Runtime | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, request_id = perf_counter(), http.new_request_id()
        service, operation = _operation(scope["method"], scope["path"])
        seen = Seen(operation)
        try:
            doc = await self._answer(scope, await _body(receive), service, seen, request_id)
            answer = http.answer(service, doc, request_id)
        except Disconnected:
            return
        except AwsError as failure:
            answer = http.error(service, failure, request_id)
        except Exception:  # the process boundary: nothing untyped may reach a client
            log.exception("request %s: %s failed", request_id, operation)
            message = f"Internal failure; the runtime's log has the reason under request id {request_id}."
            answer = http.error(service, InternalFailure(message), request_id)
        self._record(answer, seen, request_id, perf_counter() - started)
        await _send(send, answer)

    async def _answer(
        self, scope: Scope, body: bytes, service: str, seen: Seen, request_id: str
    ) -> dict[str, Any] | None:
        """The answer's members; `seen` is filled with what becomes known."""
        operation = seen.operation
        if operation == NO_OPERATION:
            raise UnknownOperation(f"Unknown operation: no {scope['method']} {scope['path']} here.")
        if self.runtime is None:
            raise ServiceUnavailable("The runtime is starting or stopping, try again.")
        now = datetime.now(UTC)
        seen.key = await _signed_by(scope, body, self.runtime, now)
        access.authorize(seen.key, service, operation)
        seen.call = call = models.parse_input(service, operation, body)
        return await self.runtime.operate(operation, call, request_id, now.timestamp())

    def _record(self, answer: http.Answer, seen: Seen, request_id: str, seconds: float) -> None:
        campaign, key_id, call = NO_CAMPAIGN, NO_KEY, seen.call or {}
        if self.runtime is not None:
            campaign = self.runtime.campaign_label(call.get("campaignArn"))
            self.runtime.metrics.request(campaign, seen.operation, answer.code, seconds)
            if seen.key is not None:
                key_id = seen.key.id
                about = call.get("trackingId") or call.get("datasetArn")
                self.runtime.audit.note(seen.key, seen.operation, about, answer.code)
        access_log.info(
            "request=%s operation=%s campaign=%s key=%s status=%d code=%s ms=%.2f",
            *(request_id, seen.operation, campaign, key_id, answer.status, answer.code or "-", seconds * 1000),
        )


@lru_cache(maxsize=256)
def _operation(method: str, path: str) -> tuple[str, str]:
    """(service, operation) of a request; errors of no operation are told in the runtime's encoding."""
    if method == "POST":
        for service in (RUNTIME, EVENTS):
            try:
                return service, models.rest_operation(service, path)
            except UnknownOperation:
                continue
    return RUNTIME, NO_OPERATION


async def _signed_by(scope: Scope, body: bytes, runtime: Runtime, now: datetime) -> Key:
    """The key that signed the request; raises one of the signature errors."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    claimed = sigv4.claim(headers)
    key_id = claimed.credential.key_id
    key = runtime.access.known(key_id) or await runtime.access.find(key_id)
    sigv4.verify(
        claimed,
        key.secret,
        method=scope["method"],
        path=(scope.get("raw_path") or scope["path"].encode()).decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=body,
        now=now,
        region=runtime.region,
    )
    return key


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_BODY_BYTES:
            raise RequestEntityTooLarge(f"The request's body is longer than {MOST_BODY_BYTES} bytes.")
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _send(send: Send, answer: http.Answer) -> None:
    headers = [(_header_name(name), value.encode("latin-1")) for name, value in answer.headers.items()]
    headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


@lru_cache(maxsize=16)
def _header_name(name: str) -> bytes:
    return name.lower().encode()
