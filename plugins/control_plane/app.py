"""The control plane as an ASGI app: under /personalize inside Airflow, at / under plain uvicorn in tests.

Transport only: the body is read here, bounded, and `pipelines.control.service` answers it in a thread, because
Airflow's own API shares this event loop.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from pipelines.aws import http
from pipelines.aws.errors import CONTROL, RequestEntityTooLarge
from pipelines.control.service import ControlPlane
from pipelines.control.service import Request as Received

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from pipelines.settings import Settings

MAX_BODY = 1 << 20
"""Bytes; the longest request that the service model allows is a third of it."""
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def create_app(settings: Settings) -> FastAPI:
    """The app; nothing is connected to before the first request."""
    plane = ControlPlane(settings)
    app = FastAPI(title="OpenPersonalize control plane", docs_url=None, redoc_url=None, openapi_url=None)

    async def answer(request: Request) -> Response:
        try:
            body = await _bounded_body(request)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it, and it is no defect to log
        if body is None:
            too_large = RequestEntityTooLarge(f"The request body is longer than {MAX_BODY} bytes.")
            made = http.error(CONTROL, too_large, http.new_request_id())
        else:
            made = await run_in_threadpool(plane.answer, _received(request, body), datetime.now(UTC))
        return Response(made.body, made.status, dict(made.headers))

    app.add_api_route("/{path:path}", answer, methods=METHODS, include_in_schema=False)
    return app


class MountWithoutSlash:
    """Lets `/personalize` reach what is mounted there: a mount matches `/personalize/` only, and botocore posts to
    the endpoint's path as it stands. `raw_path`, which the signature covers, stays as the client sent it.
    """

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app = app
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Airflow under a path of its own has that in front.
        if scope["type"] == "http" and scope["path"] == scope.get("root_path", "") + self._path:
            scope = {**scope, "path": scope["path"] + "/"}
        await self._app(scope, receive, send)


async def _bounded_body(request: Request) -> bytes | None:
    """The body, or None when it is longer than MAX_BODY."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            return None
    return bytes(body)


def _received(request: Request, body: bytes) -> Received:
    raw_path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    return Received(
        method=request.method,
        path=raw_path.partition(b"?")[0].decode("latin-1"),
        query=request.scope["query_string"].decode("latin-1"),
        headers=dict(request.headers),
        body=body,
        source=request.client.host if request.client else None,
    )
