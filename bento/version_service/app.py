"""One version as an ASGI app that speaks AWS's REST-JSON: typed errors and a request id on every answer."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bento.version_service.answers import answer
from pipelines.aws import http, models, sigv4
from pipelines.aws.access import unknown_key
from pipelines.aws.errors import RUNTIME, AwsError, InternalFailure, UnknownOperation
from pipelines.serving.artefact import Artefact
from pipelines.serving.recommender import Recommender
from pipelines.settings import Settings

log = logging.getLogger("openpersonalize.version")


def create_app(artefact: Callable[[], Path], settings: Callable[[], Settings] = Settings.from_env) -> Starlette:
    """An app that opens the artefact and reads the settings when it starts, not before.

    Signatures are checked when OPENPERSONALIZE_ACCESS_KEYS is set; without it the server is as open as its address.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        given = settings()
        app.state.keys = given.access_keys if given.given_access_keys else {}
        app.state.region = given.region
        app.state.recommender = Recommender(Artefact.open(artefact()))
        yield

    return Starlette(routes=[Route("/{path:path}", _respond, methods=["GET", "POST"])], lifespan=lifespan)


async def _respond(request: Request) -> Response:
    request_id = http.new_request_id()
    try:
        answered = http.answer(RUNTIME, await _answer(request), request_id)
    except AwsError as failure:
        answered = http.error(RUNTIME, failure, request_id)
    except Exception:  # the process boundary: nothing untyped may reach a client
        log.exception("request %s failed", request_id)
        message = f"Internal failure; the log has the reason under request id {request_id}."
        answered = http.error(RUNTIME, InternalFailure(message), request_id)
    return Response(answered.body, answered.status, dict(answered.headers))


async def _answer(request: Request) -> Mapping[str, object]:
    if request.method != "POST":
        raise UnknownOperation(f"Unknown operation: no {request.method} {request.url.path} here.")
    operation = models.rest_operation(RUNTIME, request.url.path)
    body = await request.body()
    if request.app.state.keys:
        claimed = sigv4.claim(request.headers)
        secret = request.app.state.keys.get(claimed.credential.key_id)
        if secret is None:
            raise unknown_key()
        sigv4.verify(
            claimed,
            secret,
            method=request.method,
            path=request.scope.get("raw_path", request.url.path.encode()).decode("latin-1"),
            query=request.url.query,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=body,
            now=datetime.now(UTC),
            region=request.app.state.region,
        )
    return answer(request.app.state.recommender, operation, models.parse_input(RUNTIME, operation, body))
