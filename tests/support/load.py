"""Many requests in flight at once: raw keep-alive HTTP in one event loop, so that the load costs less than the server.

A signature covers the request and a time, so one signed request may be sent as often as one likes for 15 minutes.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Iterable, Iterator
from typing import cast
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

CREDENTIALS = Credentials("AKIAIOSFODNN7EXAMPLE", "harness-not-a-secret")

Answered = Callable[[float, float, int, bytes], None]
"""(time.monotonic when sent, when answered, status, body)"""


def signed_request(url: str, path: str, body: bytes, region: str = "us-east-1") -> bytes:
    """A whole POST on the wire, signed."""
    request = AWSRequest(method="POST", url=url + path, data=body, headers={"Content-Type": "application/json"})
    SigV4Auth(CREDENTIALS, "personalize", region).add_auth(request)
    headers = {"Host": urlsplit(url).netloc, "Content-Length": str(len(body)), **dict(request.headers)}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def keep_asking(url: str, requests: list[bytes], answered: Answered, stop: asyncio.Event) -> None:
    """One connection that sends the requests in turn until `stop`; a connection that breaks raises."""
    at = urlsplit(url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    try:
        n = 0
        while not stop.is_set():
            sent = time.monotonic()
            writer.write(requests[n % len(requests)])
            status, body = await read_answer(reader)
            answered(sent, time.monotonic(), status, body)
            n += 1
    finally:
        writer.close()


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """(status, body)"""
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    return status, await reader.readexactly(int(fields.get(b"content-length", b"0")))


def signed_requests(
    url: str, path: str, bodies: Iterable[bytes], *, region: str = "us-east-1", credentials: Credentials = CREDENTIALS
) -> list[bytes]:
    """The same for many bodies, all signed for this second; a twentieth of the time."""
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = f"{now[:8]}/{region}/personalize/aws4_request"
    key = ("AWS4" + credentials.secret_key).encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    host = urlsplit(url).netloc
    canonical = f"POST\n{path}\n\nhost:{host}\nx-amz-date:{now}\n\nhost;x-amz-date\n"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nX-Amz-Date: {now}\r\nContent-Type: application/json\r\n"
        f"Authorization: AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
        "SignedHeaders=host;x-amz-date, Signature="
    )
    signed = []
    for body in bodies:
        digest = hashlib.sha256((canonical + hashlib.sha256(body).hexdigest()).encode()).hexdigest()
        to_sign = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{digest}"
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        signed.append(f"{head}{signature}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    return signed


class Line(asyncio.Protocol):
    """One connection that sends requests one after another, each when it is due and the last is answered (due at 0: at once).

    Cheaper than streams, so that the load leaves the cores to the server. `done` is set when all are answered, or `stop`
    is set; `answered` is told when a request was due, so a server that falls behind is seen in every answer.
    """

    def __init__(self, requests: Iterator[tuple[float, bytes]], answered: Answered, stop: asyncio.Event) -> None:
        self.done = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._answered = answered
        self._stop = stop
        self._due = 0.0
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, found, body = self._got.partition(b"\r\n\r\n")
        if not found or len(body) < _content_length(head):
            return
        self._got = b""
        self._answered(self._due, time.monotonic(), int(head[9:12]), body)
        self._next()

    def connection_lost(self, failure: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(failure or ConnectionError("the server closed the connection"))

    def _next(self) -> None:
        request = None if self._stop.is_set() else next(self._requests, None)
        if request is None:
            self.done.set_result(None)
            self._transport.close()
            return
        now = time.monotonic()
        self._due = request[0] or now
        if self._due > now:
            asyncio.get_running_loop().call_later(self._due - now, self._transport.write, request[1])
        else:
            self._transport.write(request[1])


def _content_length(head: bytes) -> int:
    at = head.lower().index(b"content-length:") + 15
    return int(head[at:].split(b"\r\n", 1)[0])
