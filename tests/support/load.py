"""Many requests in flight at once: raw keep-alive HTTP in one event loop, so that the load costs less than the server.

A signature covers the request and a time, so one signed request may be sent as often as one likes for 15 minutes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
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
            status, body = await _read_answer(reader)
            answered(sent, time.monotonic(), status, body)
            n += 1
    finally:
        writer.close()


async def _read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    return status, await reader.readexactly(int(fields.get(b"content-length", b"0")))
