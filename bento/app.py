"""The runtime as an ASGI app: `bentoml serve bento.service:Runtime` mounts it, plain uvicorn serves it in tests.

Importing it does nothing: settings, connections and models come with the lifespan, because BentoML imports the
service in processes that never answer a request.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bento.runtime import Runtime
from bento.wire import Wire
from pipelines.settings import Settings

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


def create_app(settings: Settings | None = None, *, log_to_stdout: bool = False) -> Starlette:
    """An app that opens with `settings` (default: of the environment, read when it starts)."""
    wire = Wire()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        if log_to_stdout:
            _log_to_stdout()
        runtime = Runtime(settings or Settings.from_env())
        try:
            await runtime.open()
            wire.runtime = app.state.runtime = runtime
            yield
        finally:
            wire.runtime = None
            await runtime.close()

    routes = [
        Route("/livez", _livez),
        Route("/readyz", _readyz),
        Route("/metrics", _metrics),
        Route("/{path:path}", wire),
    ]
    app = Starlette(routes=routes, lifespan=lifespan, middleware=[Middleware(Operations, wire=wire)])
    app.state.wire = wire
    return app


class Operations:
    """Middleware that takes every POST straight to the wire: all of them are operations.

    What would otherwise stand in between, in BentoML most of all, costs more than what the wire itself does.
    """

    def __init__(self, app: ASGIApp, wire: Wire) -> None:
        self._app = app
        self._wire = wire

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "http" and scope["method"] == "POST":
            return self._wire(scope, receive, send)
        return self._app(scope, receive, send)


async def is_ready(app: Starlette) -> bool:
    """Whether the app may be sent requests."""
    runtime: Runtime | None = getattr(app.state, "runtime", None)
    return runtime is not None and await runtime.is_ready()


async def _livez(_request: Request) -> Response:
    return PlainTextResponse("alive\n")


async def _readyz(request: Request) -> Response:
    if await is_ready(request.app):
        return PlainTextResponse("ready\n")
    return PlainTextResponse("not ready: the database does not answer\n", status_code=503)


async def _metrics(request: Request) -> Response:
    return Response(request.app.state.runtime.metrics.exposition(), media_type=EXPOSITION)


def _log_to_stdout() -> None:
    """Our loggers write lines to stdout, which the supervisor keeps and rotates; BentoML's stay as they are."""
    ours = logging.getLogger("openpersonalize")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    ours.handlers[:] = [handler]
    ours.setLevel(logging.INFO)
    ours.propagate = False


class _Formatter(logging.Formatter):
    """Writes the calendar's part of a time once a second: every request has a line."""

    _second = ""
    _at = -1

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        if int(record.created) != self._at:
            self._at = int(record.created)
            self._second = super().formatTime(record, datefmt or self.default_time_format)
        return f"{self._second},{int(record.msecs):03d}"
