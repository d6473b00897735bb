"""What the audit says of a call: pipelines/registry/audit.py keeps it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from pipelines.aws import models
from pipelines.aws.access import Key
from pipelines.aws.errors import CONTROL, AwsError
from pipelines.control.context import Context, Given
from pipelines.control.views import member
from pipelines.registry import audit

_ABOUT = re.compile(r"(?:Create|Update|Delete|Start|Stop)(\w+?)(?:Creation)?")


def made(context: Context, operation: str, given: Given, answer: Given, key: Key, source: str | None) -> None:
    """Record a call that did what it was asked, in its own transaction."""
    about = _resource(operation, given, answer)
    audit.write(context.conn, _entry(operation, about, key, source, context.request_id, context.now))


def refused(
    operation: str, body: bytes, code: str, key: Key, source: str | None, request_id: str, now: datetime
) -> audit.Entry:
    """The record of a call that was answered with an error."""
    given: Given = {}
    with suppress(AwsError):  # what breaks a constraint names nothing that could be kept
        given = models.parse_input(CONTROL, operation, body)
    return _entry(operation, _resource(operation, given, {}), key, source, request_id, now, code)


def made_in_run(context: Context, operation: str, arn: str, run_id: str) -> None:
    """Record what a run did that a person started in Airflow, whose own audit log knows the person."""
    audit.write(context.conn, audit.Entry(context.now, operation, f"Airflow run {run_id}", resource=arn))


def _entry(
    operation: str,
    resource: str | None,
    key: Key,
    source: str | None,
    request_id: str,
    now: datetime,
    outcome: str = audit.OK,
) -> audit.Entry:
    return audit.Entry(
        at=now,
        operation=operation,
        key_name=key.name,
        key_id=key.id,
        role=key.role,
        resource=resource,
        outcome=outcome,
        request_id=request_id,
        source=source,
    )


def _resource(operation: str, given: Mapping[str, Any], answer: Mapping[str, Any]) -> str | None:
    """The ARN of what was made or changed; of a create that was refused the name, or what it was to hang on."""
    kind = _ABOUT.fullmatch(operation)
    own = f"{member(kind[1])}Arn" if kind else ""
    arns = (value for name, value in given.items() if name.endswith("Arn"))
    found = answer.get(own) or given.get(own) or given.get("name") or given.get("jobName") or next(arns, None)
    return str(found) if found else None
