"""One HTTP request to the control plane, from bytes to bytes, without a web framework.

Signature, operation, role, constraints, then the operation in one transaction, which its line in the audit is part of.
What is known of a key of the registry is trusted for a second, since a look at it costs half as much as a describe; so one
that was revoked ends a second later in every process. Every failure is a typed error; only here is
anything unforeseen caught, logged with its stack trace and answered as InternalFailure.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from pipelines.aws import access, http, models, sigv4
from pipelines.aws.access import Key
from pipelines.aws.errors import (
    CONTROL,
    AwsError,
    InternalFailure,
    ServiceUnavailable,
    UnknownOperation,
)
from pipelines.aws.http import Answer
from pipelines.control import auditing, operations
from pipelines.control.context import Context
from pipelines.registry import audit, keys
from pipelines.registry.database import engine
from pipelines.settings import Settings

access_log = logging.getLogger("openpersonalize.access")
log = logging.getLogger("openpersonalize.control")

ATTEMPTS = 3
"""How often an operation is begun anew when its transaction was ended for no fault of its own."""
KEY_TRUSTED = timedelta(seconds=1)
LOCK_TIMEOUT = "10s"
"""How long a request waits for another that works on the same dataset group."""
_LOCK_NOT_AVAILABLE = "55P03"
_DEADLOCK = {"40P01", "40001"}
# Before the first migration, and while the store is emptied.
_NOT_THERE = {"42P01", "3F000"}
T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """What the client sent; `path` and `query` percent-encoded, `headers` with lower-case names."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    source: str | None = None
    """The client's address."""


@dataclass
class Seen:
    """What is known of a request so far, for its lines in access log and audit."""

    key: Key | None = None
    operation: str = ""


class ControlPlane:
    """Answers requests; any number of threads may call `answer`. The database is reached at the first one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stored_keys: dict[str, tuple[Key, datetime]] = {}
        """The registry's keys by id, as of when they were read."""
        self._used: dict[str, datetime] = {}
        """When the use of a key was noted last, by its id."""

    @cached_property
    def _engine(self) -> Engine:
        return engine(self._settings)

    @cached_property
    def _single(self) -> Engine:
        """The same connections for single statements, which need no transaction around them."""
        return self._engine.execution_options(isolation_level="AUTOCOMMIT")

    @cached_property
    def _given_keys(self) -> Mapping[str, Key]:
        return access.given_keys(self._settings)

    @cached_property
    def _keys_secret(self) -> str:
        return self._settings.keys_secret

    def answer(self, request: Request, now: datetime) -> Answer:
        """The answer to one request, never an exception."""
        request_id, seen, begun = http.new_request_id(), Seen(), time.perf_counter()
        try:
            answer = http.answer(CONTROL, self._run(request, request_id, now, seen), request_id)
        except AwsError as failure:
            answer = http.error(CONTROL, failure, request_id)
        except Exception:  # the process boundary: a defect of ours must not reach the client
            log.exception("request %s (%s) failed", request_id, seen.operation or "-")
            defect = InternalFailure(f"An internal error occurred; the server's log has it under {request_id}.")
            answer = http.error(CONTROL, defect, request_id)
        if answer.code:
            self._note_refusal(request, answer.code, request_id, now, seen)
        access_log.info(
            "request_id=%s operation=%s key=%s status=%d code=%s ms=%.1f",
            request_id,
            seen.operation or "-",
            seen.key.id if seen.key else "-",
            answer.status,
            answer.code or "-",
            (time.perf_counter() - begun) * 1000,
        )
        return answer

    def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        self._engine.dispose()

    def _run(self, request: Request, request_id: str, now: datetime, seen: Seen) -> dict[str, Any]:
        claimed = sigv4.claim(request.headers)
        key = self._find_key(claimed.credential.key_id, now)
        sigv4.verify(
            claimed,
            key.secret,
            method=request.method,
            path=request.path,
            query=request.query,
            headers=request.headers,
            body=request.body,
            now=now,
            region=self._settings.region,
        )
        seen.key = key
        self._note_use(key, now)
        if request.method != "POST":
            raise UnknownOperation(f"{request.method} is not an operation: send POST with an X-Amz-Target header.")
        operation = models.operation_for_target(CONTROL, request.headers.get("x-amz-target", ""))
        seen.operation = operation
        access.authorize(key, CONTROL, operation)
        given = models.parse_input(CONTROL, operation, request.body)

        def work(conn: Connection) -> dict[str, Any]:
            conn.execute(text("SELECT set_config('lock_timeout', :wait, true)"), {"wait": LOCK_TIMEOUT})
            context = Context(conn, self._settings, request_id, now)
            doc = operations.run(context, operation, given)
            if access.changes(operation):
                auditing.made(context, operation, given, doc, key, request.source)
            return doc

        return self._done(self._engine, work)

    def _find_key(self, key_id: str, now: datetime) -> Key:
        """The key of that id; raises UnrecognizedClient."""
        given = self._given_keys.get(key_id)
        if given is not None:
            return given
        known = self._stored_keys.get(key_id)
        if known is not None and abs(now - known[1]) < KEY_TRUSTED:
            return known[0]
        found = self._done(self._single, lambda conn: keys.find(conn, key_id)) if self._keys_secret else None
        if found is None:
            self._stored_keys.pop(key_id, None)
            raise access.unknown_key()
        key = access.stored_key(self._keys_secret, found.id, found.name, found.role)
        self._stored_keys[key_id] = key, now
        return key

    def _note_use(self, key: Key, now: datetime) -> None:
        """For `openpersonalize keys list`, once a minute; the keys of the environment have no row to note it in."""
        noted = self._used.get(key.id)
        if key.id not in self._given_keys and (noted is None or now - noted > keys.USED_EVERY):
            self._used[key.id] = now
            self._done(self._single, lambda conn: keys.used(conn, [key.id], now))

    def _note_refusal(self, request: Request, code: str, request_id: str, now: datetime, seen: Seen) -> None:
        if seen.key is None or not seen.operation or not access.changes(seen.operation):
            return
        try:
            entry = auditing.refused(seen.operation, request.body, code, seen.key, request.source, request_id, now)
            self._done(self._single, lambda conn: audit.write(conn, entry))
        except Exception as failure:  # noqa: BLE001 (the client gets its answer all the same)
            log.warning("the audit lacks request %s, which was refused with %s: %s", request_id, code, failure)

    def _done(self, database: Engine, work: Callable[[Connection], T]) -> T:
        """Run and commit; begin anew after a deadlock or on a connection that a restart of the server had cut."""
        for attempt in range(1, ATTEMPTS + 1):
            committing = False
            try:
                with database.begin() as conn:
                    done = work(conn)
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
                return done
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
