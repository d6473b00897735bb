"""One HTTP request to the control plane, from bytes to bytes, without a web framework.

Signature, operation, constraints, then the operation in one transaction. Every failure is a typed error; only here is
anything unforeseen caught, logged with its stack trace and answered as InternalFailure.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from pipelines.aws import http, models, sigv4
from pipelines.aws.errors import CONTROL, AwsError, InternalFailure, ServiceUnavailable, UnknownOperation
from pipelines.aws.http import Answer
from pipelines.control import operations
from pipelines.control.context import Context
from pipelines.registry.database import engine
from pipelines.settings import Settings

access_log = logging.getLogger("openpersonalize.access")
log = logging.getLogger("openpersonalize.control")

ATTEMPTS = 3
"""How often an operation is begun anew when its transaction was ended for no fault of its own."""
LOCK_TIMEOUT = "10s"
"""How long a request waits for another that works on the same dataset group."""
_LOCK_NOT_AVAILABLE = "55P03"
_DEADLOCK = {"40P01", "40001"}
# Before the first migration, and while the store is emptied.
_NOT_THERE = {"42P01", "3F000"}


@dataclass(frozen=True)
class Request:
    """What the client sent; `path` and `query` percent-encoded, `headers` with lower-case names."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Seen:
    """What is known of a request so far, for its access log line."""

    key_id: str = "-"
    operation: str = "-"


class ControlPlane:
    """Answers requests; any number of threads may call `answer`. The database is reached at the first one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _engine(self) -> Engine:
        return engine(self._settings)

    @cached_property
    def _access_keys(self) -> Mapping[str, str]:
        return self._settings.access_keys

    def answer(self, request: Request, now: datetime) -> Answer:
        """The answer to one request, never an exception."""
        request_id, seen, begun = http.new_request_id(), Seen(), time.perf_counter()
        try:
            answer = http.answer(CONTROL, self._run(request, request_id, now, seen), request_id)
        except AwsError as failure:
            answer = http.error(CONTROL, failure, request_id)
        except Exception:  # the process boundary: a defect of ours must not reach the client
            log.exception("request %s (%s) failed", request_id, seen.operation)
            defect = InternalFailure(f"An internal error occurred; the server's log has it under {request_id}.")
            answer = http.error(CONTROL, defect, request_id)
        access_log.info(
            "request_id=%s operation=%s key=%s status=%d code=%s ms=%.1f",
            request_id,
            seen.operation,
            seen.key_id,
            answer.status,
            answer.code or "-",
            (time.perf_counter() - begun) * 1000,
        )
        return answer

    def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        self._engine.dispose()

    def _run(self, request: Request, request_id: str, now: datetime, seen: Seen) -> dict[str, Any]:
        seen.key_id = sigv4.verify(
            method=request.method,
            path=request.path,
            query=request.query,
            headers=request.headers,
            body=request.body,
            access_keys=self._access_keys,
            now=now,
            region=self._settings.region,
        )
        if request.method != "POST":
            raise UnknownOperation(f"{request.method} is not an operation: send POST with an X-Amz-Target header.")
        operation = models.operation_for_target(CONTROL, request.headers.get("x-amz-target", ""))
        seen.operation = operation
        given = models.parse_input(CONTROL, operation, request.body)
        return self._in_transaction(operation, given, request_id, now)

    def _in_transaction(self, operation: str, given: dict[str, Any], request_id: str, now: datetime) -> dict[str, Any]:
        """Run and commit; begin anew after a deadlock or on a connection that a restart of the server had cut."""
        for attempt in range(1, ATTEMPTS + 1):
            committing = False
            try:
                with self._engine.begin() as conn:
                    conn.execute(text("SELECT set_config('lock_timeout', :wait, true)"), {"wait": LOCK_TIMEOUT})
                    doc = operations.run(Context(conn, self._settings, request_id, now), operation, given)
                    committing = True
            except PoolTimeout as failure:
                raise _unavailable(failure) from failure
            except DBAPIError as failure:
                # A connection lost while committing may have committed: the client decides, not we.
                if _is_passing(failure) and not committing and attempt < ATTEMPTS:
                    continue
                if _is_outage(failure):
                    raise _unavailable(failure) from failure
                raise
            else:
                return doc
        raise AssertionError("unreachable")


def _is_passing(failure: DBAPIError) -> bool:
    return failure.connection_invalidated or _sqlstate(failure) in _DEADLOCK


def _is_outage(failure: DBAPIError) -> bool:
    """Whether the moment, not the statement, is the cause: no connection, no resources, no tables yet, a lock."""
    state = _sqlstate(failure)
    if isinstance(failure, OperationalError | InterfaceError):
        return True
    return failure.connection_invalidated or state in {*_NOT_THERE, *_DEADLOCK, _LOCK_NOT_AVAILABLE}


def _sqlstate(failure: DBAPIError) -> str | None:
    return getattr(failure.orig, "sqlstate", None)


def _unavailable(failure: Exception) -> ServiceUnavailable:
    log.warning("the database cannot be used just now: %s", failure)
    return ServiceUnavailable("The registry's database cannot be reached just now; try again.")
